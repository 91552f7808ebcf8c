-- Old years of bars leave the tables that the night reads, whole and for later; and what maintenance did is written down.

create schema if not exists archive;
create table if not exists archive.bar_revisions (like market.bar_revisions including all);

-- One year of bars goes to the archive, with its revisions: half of a year's story would falsify a replay.
create or replace function market.detach_bars(timeframe text, year integer)
returns bigint
language plpgsql
as $$
declare
    frame text := format('bars_%s', timeframe);
    part text := format('bars_%s_%s', timeframe, year);
    held bigint;
begin
    perform pg_advisory_xact_lock(hashtext('market.bars'));
    execute format('alter table market.%I detach partition market.%I', frame, part);
    execute format('alter table market.%I set schema archive', part);
    with moved as (
        delete from market.bar_revisions r
        where r.timeframe = detach_bars.timeframe
            and r.ts >= make_timestamptz(year, 1, 1, 0, 0, 0, 'UTC')
            and r.ts < make_timestamptz(year + 1, 1, 1, 0, 0, 0, 'UTC')
        returning *
    )
    insert into archive.bar_revisions select * from moved;
    execute format('select count(*) from archive.%I', part) into held;
    return held;
end
$$;

-- And back again.
create or replace function market.attach_bars(timeframe text, year integer)
returns bigint
language plpgsql
as $$
declare
    frame text := format('bars_%s', timeframe);
    part text := format('bars_%s_%s', timeframe, year);
    held bigint;
begin
    perform pg_advisory_xact_lock(hashtext('market.bars'));
    execute format('alter table archive.%I set schema market', part);
    execute format(
        'alter table market.%I attach partition market.%I for values from (%L) to (%L)',
        frame, part, format('%s-01-01 00:00+00', year), format('%s-01-01 00:00+00', year + 1)
    );
    with moved as (
        delete from archive.bar_revisions r
        where r.timeframe = attach_bars.timeframe
            and r.ts >= make_timestamptz(year, 1, 1, 0, 0, 0, 'UTC')
            and r.ts < make_timestamptz(year + 1, 1, 1, 0, 0, 0, 'UTC')
        returning *
    )
    insert into market.bar_revisions select * from moved;
    execute format('select count(*) from market.%I', part) into held;
    return held;
end
$$;

-- As before, with two differences. A year that lies in the archive comes back instead of beginning anew: what was believed
-- is not forgotten. And a new one is attached, which waits for no reader, where "partition of" waits for all of them.
create or replace function market.make_partitions(timeframe text, first timestamptz, last timestamptz)
returns void
language plpgsql
as $$
declare
    frame text := format('bars_%s', timeframe);
    year integer;
    part text;
begin
    perform pg_advisory_xact_lock(hashtext('market.bars'));
    if to_regclass(format('market.%I', frame)) is null then
        execute format('create table market.%I (like market.bars including all) partition by range (ts)', frame);
        execute format('alter table market.bars attach partition market.%I for values in (%L)', frame, timeframe);
    end if;
    for year in extract(year from first at time zone 'UTC') .. extract(year from last at time zone 'UTC') loop
        part := format('%s_%s', frame, year);
        if to_regclass(format('archive.%I', part)) is not null then
            perform market.attach_bars(timeframe, year);
        elsif to_regclass(format('market.%I', part)) is null then
            execute format('create table market.%I (like market.%I including all)', part, frame);
            execute format(
                'alter table market.%I attach partition market.%I for values from (%L) to (%L)',
                frame, part, format('%s-01-01 00:00+00', year), format('%s-01-01 00:00+00', year + 1)
            );
        end if;
    end loop;
end
$$;

-- What the house's own upkeep did, and when.
create table if not exists lifecycle.maintenance (
    maintenance_id bigint generated always as identity primary key,
    task text not null check (task in ('partitions', 'retention', 'backup', 'verify', 'prune')),
    succeeded boolean not null,
    result text not null,
    started_at timestamptz not null,
    finished_at timestamptz not null default clock_timestamp()
);
