-- Inside the window and for the symbols of the delivery, what it does not repeat is believed no longer.
update market.actions a
set superseded_at = %(known_at)s
where a.superseded_at is null
    and a.ex_date between %(window_start)s and %(window_end)s
    and a.symbol = any(%(symbols)s)
    and not exists (
        select 1
        from incoming_actions i
        where i.symbol = a.symbol and i.ex_date = a.ex_date and i.kind = a.kind and i.value = a.value
    );
