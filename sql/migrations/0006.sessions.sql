-- The exchange's sessions, written from exchange_calendars: with them SQL can tell a holiday from a missing bar.
create table if not exists market.sessions (
    calendar text not null,
    session date not null,
    opens_at timestamptz not null,
    closes_at timestamptz not null,
    is_early_close boolean not null,
    primary key (calendar, session),
    check (opens_at < closes_at)
);
create unique index if not exists sessions_by_close on market.sessions (calendar, closes_at);

create index if not exists tickers_by_instrument on market.tickers (instrument_id);
