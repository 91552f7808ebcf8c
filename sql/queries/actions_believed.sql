-- Corporate actions of some symbols with their ex-dates in a window, as they are believed now.
select symbol, ex_date, kind, value
from market.actions
where superseded_at is null
    and symbol = any(%(symbols)s)
    and ex_date between %(first)s and %(last)s
order by symbol, ex_date, kind;
