-- Bars in partitions by timeframe and year, deliveries in parts, and a stable identity behind tickers that come and go.

-- Tickers as received, each with a small number: a bar carries four bytes instead of a text.
create table if not exists market.symbols (
    symbol_id integer generated always as identity primary key,
    symbol text not null unique
);

-- A company's paper, whatever its ticker. `vendor_id` is the source's own stable id; without one a ticker is its own.
create table if not exists market.instruments (
    instrument_id integer generated always as identity primary key,
    vendor_id text unique
);

-- Which instrument a ticker meant, from `valid_from` until before `valid_to`, as it was believed.
create table if not exists market.tickers (
    symbol_id integer not null references market.symbols,
    instrument_id integer not null references market.instruments,
    valid_from date not null default '-infinity',
    valid_to date not null default 'infinity',
    known_at timestamptz not null,
    superseded_at timestamptz,
    primary key (symbol_id, valid_from, known_at),
    check (valid_from < valid_to),
    check (superseded_at is null or known_at < superseded_at)
);
create unique index if not exists tickers_believed_now on market.tickers (symbol_id, valid_from) where superseded_at is null;

-- What the source says of an instrument, as it was believed.
create table if not exists market.instrument_facts (
    instrument_id integer not null references market.instruments,
    name text,
    type text,
    exchange text,
    sector text,
    listed date,
    delisted date,
    known_at timestamptz not null,
    superseded_at timestamptz,
    primary key (instrument_id, known_at),
    check (superseded_at is null or known_at < superseded_at)
);

-- Who belonged to the universe, from `valid_from` until before `valid_to`, as it was believed.
create table if not exists market.universe_members (
    symbol text not null,
    valid_from date not null default '-infinity',
    valid_to date not null default 'infinity',
    known_at timestamptz not null,
    superseded_at timestamptz,
    primary key (symbol, valid_from, known_at),
    check (valid_from < valid_to),
    check (superseded_at is null or known_at < superseded_at)
);

-- A delivery comes in parts, each kept as soon as it has come: a killed one asks only for what is missing.
alter table market.ingest_runs add column if not exists kind text not null default 'night';
alter table market.ingest_runs add column if not exists attempt text;
alter table market.ingest_runs add column if not exists timeframe text not null default '1d';
alter table market.ingest_runs add column if not exists symbols text[];
alter table market.ingest_runs alter column received_rows drop not null;
alter table market.ingest_runs alter column received_digest drop not null;
alter table market.ingest_runs drop constraint if exists ingest_runs_status_check;
alter table market.ingest_runs add constraint ingest_runs_status_check
    check (status in ('landing', 'landed', 'accepted', 'failed'));
alter table market.ingest_runs drop constraint if exists ingest_runs_kind_check;
alter table market.ingest_runs add constraint ingest_runs_kind_check
    check (kind in ('night', 'backfill', 'release'));
create unique index if not exists ingest_runs_under_way on market.ingest_runs (attempt) where status = 'landing';
create index if not exists ingest_runs_by_attempt on market.ingest_runs (attempt);

create table if not exists market.landed_parts (
    ingest_id bigint not null references market.ingest_runs,
    part text not null,
    store_key text not null,
    received_rows bigint not null,
    digest text not null,
    landed_at timestamptz not null default now(),
    primary key (ingest_id, part)
);
do $$
begin
    if exists (
        select 1 from information_schema.columns
        where table_schema = 'market' and table_name = 'ingest_runs' and column_name = 'landing_key'
    ) then
        insert into market.landed_parts (ingest_id, part, store_key, received_rows, digest)
        select ingest_id, 'whole', landing_key, received_rows, received_digest from market.ingest_runs;
        alter table market.ingest_runs drop column landing_key;
    end if;
end
$$;

alter table market.actions drop constraint if exists actions_kind_check;
alter table market.actions add constraint actions_kind_check
    check (kind in ('split', 'dividend', 'special_dividend', 'spin_off'));

-- The calendar day of the session that closed at `ts`; a 24 h market closes at midnight, which is already the next day.
create or replace function market.session_of(ts timestamptz)
returns date
language sql
immutable
parallel safe
return ((ts - interval '1 microsecond') at time zone 'UTC')::date;

-- The partitions of one timeframe that hold the instants from `first` to `last`, made where they are missing.
-- Made apart and then attached: that neither waits for readers nor makes them wait, as `partition of` would.
create or replace function market.make_partitions(timeframe text, first timestamptz, last timestamptz)
returns void
language plpgsql
as $$
declare
    frame text := format('bars_%s', timeframe);
    part text;
    year integer;
begin
    if to_regclass(format('market.%I', frame)) is null then
        execute format(
            'create table market.%I (like market.bars including defaults including constraints) partition by range (ts)',
            frame
        );
        execute format('alter table market.bars attach partition market.%I for values in (%L)', frame, timeframe);
    end if;
    for year in extract(year from first at time zone 'UTC') .. extract(year from last at time zone 'UTC') loop
        part := format('%s_%s', frame, year);
        if to_regclass(format('market.%I', part)) is null then
            execute format('create table market.%I (like market.bars including all)', part);
            execute format(
                'alter table market.%I attach partition market.%I for values from (%L) to (%L)',
                frame, part, format('%s-01-01 00:00+00', year), format('%s-01-01 00:00+00', year + 1)
            );
        end if;
    end loop;
end
$$;

-- The tables of before, moved over once.
do $$
begin
    if exists (select 1 from pg_class where oid = 'market.bars'::regclass and relkind = 'r') then
        drop view if exists serving.bars cascade;
        alter table market.bars rename to bars_before;
        alter table market.bar_revisions rename to bar_revisions_before;
        alter table market.bars_before rename constraint bars_pkey to bars_before_pkey;
        alter table market.bar_revisions_before rename constraint bar_revisions_pkey to bar_revisions_before_pkey;

        -- Raw prices as traded. What is believed now; what was believed before lies in bar_revisions.
        create table market.bars (
            timeframe text not null,
            symbol_id integer not null, -- of market.symbols; a foreign key would cost a third of a bulk load
            ts timestamptz not null,
            open double precision not null,
            high double precision not null,
            low double precision not null,
            close double precision not null,
            volume double precision not null,
            known_at timestamptz not null,
            ingest_id bigint not null, -- of market.ingest_runs, likewise
            primary key (timeframe, symbol_id, ts),
            check (high >= low and low > 0 and volume >= 0)
        ) partition by list (timeframe);

        create table market.bar_revisions (
            timeframe text not null,
            symbol_id integer not null,
            ts timestamptz not null,
            open double precision not null,
            high double precision not null,
            low double precision not null,
            close double precision not null,
            volume double precision not null,
            known_at timestamptz not null,
            ingest_id bigint not null,
            superseded_at timestamptz not null,
            primary key (timeframe, symbol_id, ts, known_at),
            check (known_at < superseded_at)
        );

        insert into market.symbols (symbol)
        select symbol from market.bars_before union select symbol from market.bar_revisions_before order by 1;
        perform market.make_partitions('1d', coalesce(min(ts), now()), coalesce(max(ts), now())) from market.bars_before;
        insert into market.bars
        select b.timeframe, s.symbol_id, b.ts, b.open, b.high, b.low, b.close, b.volume, b.known_at, b.ingest_id
        from market.bars_before b join market.symbols s using (symbol);
        insert into market.bar_revisions
        select
            b.timeframe, s.symbol_id, b.ts, b.open, b.high, b.low, b.close, b.volume, b.known_at, b.ingest_id,
            b.superseded_at
        from market.bar_revisions_before b join market.symbols s using (symbol);
        with first_seen as (
            select symbol_id, min(known_at) as known_at
            from (
                select symbol_id, known_at from market.bars
                union all
                select symbol_id, known_at from market.bar_revisions
            ) seen
            group by symbol_id
        ),
        numbered as (
            select symbol_id, known_at, row_number() over (order by symbol_id) as n from first_seen
        ),
        made as (
            insert into market.instruments (vendor_id) select null from numbered returning instrument_id
        ),
        paired as (
            select instrument_id, row_number() over (order by instrument_id) as n from made
        )
        insert into market.tickers (symbol_id, instrument_id, known_at)
        select n.symbol_id, p.instrument_id, n.known_at from numbered n join paired p using (n);
        drop table market.bars_before;
        drop table market.bar_revisions_before;
    end if;
end
$$;
drop index if exists market.bars_by_time;

-- The bars up to `as_of` as they were believed at `known_at`; every bar once.
create or replace function market.bars_as_known(timeframe text, as_of timestamptz, known_at timestamptz)
returns table (
    symbol_id integer,
    ts timestamptz,
    open double precision,
    high double precision,
    low double precision,
    close double precision,
    volume double precision
)
language sql
stable
parallel safe
as $$
    -- (select ...) so that a setting given as an argument is read once, not for every row.
    select b.symbol_id, b.ts, b.open, b.high, b.low, b.close, b.volume
    from market.bars b
    where b.timeframe = (select bars_as_known.timeframe)
        and b.ts <= (select bars_as_known.as_of)
        and b.known_at <= (select bars_as_known.known_at)
    union all
    select r.symbol_id, r.ts, r.open, r.high, r.low, r.close, r.volume
    from market.bar_revisions r
    where r.timeframe = (select bars_as_known.timeframe)
        and r.ts <= (select bars_as_known.as_of)
        and r.known_at <= (select bars_as_known.known_at)
        and r.superseded_at > (select bars_as_known.known_at)
$$;
