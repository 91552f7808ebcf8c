truncate superseded_bars;
