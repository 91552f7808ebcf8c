insert into market.universe_members (symbol, valid_from, valid_to, known_at)
select i.symbol, coalesce(i.valid_from::date, '-infinity'), coalesce(i.valid_to::date, 'infinity'), %(known_at)s
from incoming_members i
where not exists (
    select 1
    from market.universe_members m
    where m.symbol = i.symbol
        and m.valid_from = coalesce(i.valid_from::date, '-infinity')
        and m.superseded_at is null
);
