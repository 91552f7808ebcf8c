-- What the list does not repeat is believed no longer.
update market.universe_members m
set superseded_at = %(known_at)s
where m.superseded_at is null
    and not exists (
        select 1
        from incoming_members i
        where i.symbol = m.symbol
            and coalesce(i.valid_from::date, '-infinity') = m.valid_from
            and coalesce(i.valid_to::date, 'infinity') = m.valid_to
    );
