-- How many versions of the bars before an instant were learned after a first instant and by a second one.
select
    (
        select count(*)
        from market.bars
        where timeframe = %(timeframe)s
            and ts < %(before)s
            and known_at > %(known_after)s
            and known_at <= %(known_at)s
    )
    + (
        select count(*)
        from market.bar_revisions
        where timeframe = %(timeframe)s
            and ts < %(before)s
            and known_at > %(known_after)s
            and known_at <= %(known_at)s
    ) as versions;
