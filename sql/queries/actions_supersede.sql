-- What the delivery speaks of and does not repeat is believed no longer.
update market.actions a
set superseded_at = %(known_at)s
where a.superseded_at is null
    and exists (
        select 1
        from incoming_spoken s
        where (s.symbol = a.symbol or s.symbol is null) and a.ex_date between s.first and s.last
    )
    and not exists (
        select 1
        from incoming_actions i
        where i.symbol = a.symbol and i.ex_date = a.ex_date and i.kind = a.kind and i.value = a.value
    )
    and not (
        %(yields)s
        and exists (
            select 1
            from market.ingest_runs r
            where r.kind = 'night'
                and r.status = 'accepted'
                and a.ex_date between r.window_start and r.window_end
                and (r.symbols is null or a.symbol = any(r.symbols))
        )
    );
