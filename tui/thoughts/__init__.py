"""What a proposer thinks and says, wrapped and followed."""
