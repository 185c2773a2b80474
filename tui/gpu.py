"""What the GPU does, where there is one: asked every two seconds in a thread, because the driver may take its time."""

import threading
from dataclasses import dataclass

import pynvml

SECONDS = 2.0


@dataclass(frozen=True)
class GpuReading:
    """The figures of the first GPU."""

    utilisation: int
    memory_used: float
    """GiB, as memory_total."""
    memory_total: float
    temperature: int | None = None


class GpuWatch:
    """``latest`` is None on a machine without an NVIDIA GPU, and before the first reading."""

    def __init__(self) -> None:
        self.latest: GpuReading | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gpu-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._end.set()

    def _run(self) -> None:
        try:
            pynvml.nvmlInit()
            handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        except pynvml.NVMLError:
            return
        while True:
            self.latest = _read(handle)
            if self._end.wait(SECONDS):
                return


def _read(handle: object) -> GpuReading | None:
    try:
        used = pynvml.nvmlDeviceGetMemoryInfo(handle)
        return GpuReading(
            utilisation=int(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu),
            memory_used=used.used / 2**30,
            memory_total=used.total / 2**30,
            temperature=_temperature(handle),
        )
    except pynvml.NVMLError:
        return None


def _temperature(handle: object) -> int | None:
    try:
        return int(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU))
    except pynvml.NVMLError:
        return None
