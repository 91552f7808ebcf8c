insert into market.symbols (symbol)
select symbol from unnest(%(symbols)s::text[]) as asked (symbol)
on conflict (symbol) do nothing;
