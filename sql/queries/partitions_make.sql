select market.make_partitions(%(timeframe)s, %(first)s, %(last)s);
