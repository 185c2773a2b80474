// The report reads without this. It adds what points at a run, sorts and filters.
"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const { metric, best, runs } = JSON.parse(document.getElementById("runs").textContent);
  const table = document.getElementById("runs-table");
  const rows = table ? [...table.tBodies[0].rows] : [];
  const filter = document.getElementById("filter");

  function element(name, text, className) {
    const made = document.createElement(name);
    made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  // Go to where a run is told: its change if it was kept, else its row.
  function open(at) {
    const target = document.getElementById(`run-${runs[at].run}`) ?? rows[at];
    if (target.hidden) {
      filter.value = "";
      show();
    }
    location.hash = target.id;
    target.scrollIntoView();
  }

  // The chart: the run that is nearest to the pointer, or that the arrow keys are at, has a tip.

  function watch(plot) {
    const tip = plot.querySelector(".tip");
    for (const svg of plot.querySelectorAll("svg.chart")) point(svg, plot, tip);
  }

  function point(svg, plot, tip) {
    const [, , , height] = svg.getAttribute("viewBox").split(" ").map(Number);
    const guide = svg.insertBefore(document.createElementNS(SVG, "line"), svg.firstChild);
    const ring = svg.appendChild(document.createElementNS(SVG, "circle"));
    guide.setAttribute("class", "guide");
    ring.setAttribute("class", "ring");
    ring.setAttribute("r", "9");
    let marks = null;
    let current = -1;

    // The middle of every run's mark, by the run's place; a chart that is not shown has none.
    function middles() {
      if (marks) return marks;
      marks = new Array(runs.length);
      for (const mark of svg.querySelectorAll("[data-i]")) {
        const box = mark.getBBox();
        marks[Number(mark.dataset.i)] = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
      }
      return marks;
    }

    function nearest(event) {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      let found = -1;
      let least = Infinity;
      middles().forEach(({ x, y }, index) => {
        const distance = (x - at.x) ** 2 + (y - at.y) ** 2;
        if (distance < least) [found, least] = [index, distance];
      });
      return found;
    }

    function tell(at) {
      if (at === current || at < 0) return;
      current = at;
      const { x, y } = middles()[at];
      const run = runs[at];
      for (const [name, value] of [["x1", x], ["x2", x], ["y1", 0], ["y2", height]]) guide.setAttribute(name, value);
      ring.setAttribute("cx", x);
      ring.setAttribute("cy", y);
      svg.classList.add("pointed");
      const figures = run.value === null ? "no metric" : `${metric} ${run.metric}`;
      tip.replaceChildren(
        element("strong", `run ${run.run}`),
        " ",
        element("span", run.status, `status ${run.kind}`),
        element("p", run.behind ? `${figures} (${run.behind} to the best then)` : figures, "metrics"),
        element("p", run.change || "(no description)", "change"),
        ...(run.why ? [element("p", run.why, "why")] : []),
      );
      tip.hidden = false;
      place(x, y);
    }

    // Above the run where there is room, else below; never over the edge of the plot.
    function place(x, y) {
      const at = new DOMPoint(x, y).matrixTransform(svg.getScreenCTM());
      const around = plot.getBoundingClientRect();
      const left = Math.max(0, Math.min(at.x - around.x - tip.offsetWidth / 2, around.width - tip.offsetWidth));
      const above = at.y - around.y - tip.offsetHeight - 16;
      const top = at.y - tip.offsetHeight - 16 > 0 ? above : at.y - around.y + 16;
      tip.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
    }

    function leave() {
      current = -1;
      tip.hidden = true;
      svg.classList.remove("pointed");
    }

    function press(event) {
      const last = runs.length - 1;
      const from = current < 0 ? best : current;
      const to = {
        ArrowLeft: from - 1, ArrowRight: from + 1, PageUp: from - 10, PageDown: from + 10, Home: 0, End: last,
      }[event.key];
      if (to !== undefined) tell(Math.max(0, Math.min(last, to)));
      else if (event.key === "Enter" && current >= 0) open(current);
      else if (event.key === "Escape") leave();
      else return;
      event.preventDefault();
    }

    // A finger has no hover: its first tap tells, its second on the same run goes there.
    let touched = -1;
    svg.tabIndex = 0;
    svg.setAttribute("role", "application");
    svg.setAttribute("aria-roledescription", "chart; the arrow keys go from run to run, enter opens one");
    svg.addEventListener("pointermove", (event) => event.pointerType !== "touch" && tell(nearest(event)));
    svg.addEventListener("pointerleave", (event) => event.pointerType !== "touch" && leave());
    svg.addEventListener("click", (event) => {
      const at = nearest(event);
      if (event.pointerType !== "touch" || at === touched) return open(at);
      touched = at;
      tell(at);
    });
    svg.addEventListener("focus", () => svg.matches(":focus-visible") && tell(best));
    svg.addEventListener("blur", leave);
    svg.addEventListener("keydown", press);
    addEventListener("resize", leave);
  }

  // The table: a heading sorts by its column, and once more the other way round; what has no figure comes last.

  const KEYS = [(run) => run.run, (run) => run.value, (run) => run.apart, (run) => run.status, (run) => run.change];

  function sort(column, button, heads) {
    const head = heads[column];
    const way = head.ariaSort === "ascending" ? -1 : 1;
    const key = KEYS[column];
    const order = runs.map((_, at) => at).sort((one, other) => {
      const [a, b] = [key(runs[one]), key(runs[other])];
      if (a === b || a === null || b === null) return (a === null) - (b === null) || one - other;
      return way * (typeof a === "string" ? a.localeCompare(b) : a - b);
    });
    for (const each of heads) each.removeAttribute("aria-sort");
    head.ariaSort = way > 0 ? "ascending" : "descending";
    table.tBodies[0].append(...order.map((at) => rows[at]));
  }

  function show() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    runs.forEach((run, at) => {
      const text = `${run.run} ${run.status} ${run.metric} ${run.change} ${run.why}`.toLowerCase();
      rows[at].hidden = !words.every((word) => text.includes(word));
      shown += !rows[at].hidden;
    });
    const all = `${runs.length.toLocaleString("en")} run${runs.length === 1 ? "" : "s"}`;
    table.parentElement.querySelector("output").textContent = words.length ? `${shown.toLocaleString("en")} of ${all}` : all;
  }

  document.querySelectorAll(".plot").forEach(watch);
  if (table) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = element("button", head.textContent);
      button.type = "button";
      button.addEventListener("click", () => sort(column, button, heads));
      head.replaceChildren(button);
    });
    heads[0].ariaSort = "ascending";
    filter.parentElement.hidden = false;
    filter.addEventListener("input", show);
    show();
  }
})();
