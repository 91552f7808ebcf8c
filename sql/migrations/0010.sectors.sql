-- The sector of a ticker's owner goes with the interval in which the reference says so: a company that moved from one
-- sector to another has two rows, and a past day the sector of that day. What was believed before says nothing of it.
alter table market.tickers add column if not exists sector text;
