select count(*) as bars from market.bars where timeframe = %(timeframe)s and ts = %(ts)s;
