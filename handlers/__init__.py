"""What Slipway does: one file per event, each read straight down."""
