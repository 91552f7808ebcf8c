select market.detach_bars(%(timeframe)s, %(year)s) as bars;
