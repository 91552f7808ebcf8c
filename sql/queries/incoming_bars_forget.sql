truncate incoming_bars;
