-- Three schemas: what came in (market), what was decided and said (lifecycle), what is read (serving).
-- Every statement may run twice: a kill between applying a migration and marking it applied must do no harm.

create schema if not exists market;
create schema if not exists lifecycle;
create schema if not exists serving;

-- One attempt to bring a night's bars in. `known_at` is set in the transaction that accepts them.
create table if not exists market.ingest_runs (
    ingest_id bigint generated always as identity primary key,
    domain text not null,
    provider text not null,
    source text not null,
    as_of timestamptz not null,
    window_start date not null,
    window_end date not null,
    received_rows bigint not null,
    landing_key text not null,
    received_digest text not null,
    requested_at timestamptz not null default now(),
    status text not null default 'landed' check (status in ('landed', 'accepted', 'failed')),
    known_at timestamptz,
    inserted_rows bigint,
    restated_rows bigint,
    unchanged_rows bigint,
    quarantined_rows bigint,
    check (status <> 'accepted' or known_at is not null)
);
create index if not exists ingest_runs_by_as_of on market.ingest_runs (domain, as_of desc);

-- Raw prices as traded. What is believed now; what was believed before lies in bar_revisions.
create table if not exists market.bars (
    timeframe text not null,
    symbol text not null,
    ts timestamptz not null,
    open double precision not null,
    high double precision not null,
    low double precision not null,
    close double precision not null,
    volume double precision not null,
    known_at timestamptz not null,
    ingest_id bigint not null, -- of market.ingest_runs; a foreign key would cost a third of a bulk load
    primary key (timeframe, symbol, ts),
    check (high >= low and low > 0 and volume >= 0)
);
create index if not exists bars_by_time on market.bars using brin (ts);

create table if not exists market.bar_revisions (
    timeframe text not null,
    symbol text not null,
    ts timestamptz not null,
    open double precision not null,
    high double precision not null,
    low double precision not null,
    close double precision not null,
    volume double precision not null,
    known_at timestamptz not null,
    ingest_id bigint not null,
    superseded_at timestamptz not null,
    primary key (timeframe, symbol, ts, known_at),
    check (known_at < superseded_at)
);

-- Splits and dividends, each with the interval in which it was believed.
create table if not exists market.actions (
    symbol text not null,
    ex_date date not null,
    kind text not null check (kind in ('split', 'dividend')),
    value double precision not null,
    known_at timestamptz not null,
    superseded_at timestamptz,
    ingest_id bigint not null references market.ingest_runs,
    primary key (symbol, ex_date, kind, known_at),
    check (superseded_at is null or known_at < superseded_at)
);
create unique index if not exists actions_believed_now on market.actions (symbol, ex_date, kind) where superseded_at is null;

create table if not exists market.quarantine (
    symbol text,
    session date,
    open double precision,
    high double precision,
    low double precision,
    close double precision,
    volume double precision,
    reason text not null,
    first_ingest_id bigint not null references market.ingest_runs,
    last_ingest_id bigint not null references market.ingest_runs,
    unique nulls not distinct (symbol, session, open, high, low, close, volume, reason)
);

create table if not exists market.check_results (
    ingest_id bigint not null references market.ingest_runs,
    suite text not null,
    check_name text not null,
    column_name text not null default '',
    severity text not null check (severity in ('fail', 'warn')),
    passed boolean not null,
    observed text not null,
    expected text not null,
    unexpected_rows bigint not null,
    checked_at timestamptz not null default now(),
    primary key (ingest_id, suite, check_name, column_name)
);

-- What was trained. `training_key` names the question (data, target, search), so that asking again finds the answer.
create table if not exists lifecycle.model_versions (
    domain text not null,
    target text not null,
    version bigint not null,
    training_key text not null unique,
    run_id text not null,
    estimator text not null,
    recipe jsonb not null,
    recipe_digest text not null,
    feature_set_digest text not null,
    snapshot_digest text not null,
    as_of timestamptz not null,
    known_at timestamptz not null,
    train_start timestamptz not null,
    train_end timestamptz not null,
    train_rows bigint not null,
    trials integer not null,
    scores jsonb not null,
    code_commit text not null,
    trained_at timestamptz not null default now(),
    primary key (domain, target, version)
);

-- Every look at a candidate, whole, whatever came of it.
create table if not exists lifecycle.decisions (
    decision_id bigint generated always as identity primary key,
    domain text not null,
    target text not null,
    candidate_version bigint not null,
    champion_version bigint,
    as_of timestamptz not null,
    door text not null check (door in ('first', 'replace', 'refresh')),
    verdict text not null check (verdict in ('promote', 'keep')),
    reason text not null,
    alpha_spent double precision not null,
    has_skill boolean not null,
    evidence jsonb not null,
    decided_by text not null,
    decided_at timestamptz not null default now(),
    unique nulls not distinct (domain, target, candidate_version, champion_version),
    foreign key (domain, target, candidate_version) references lifecycle.model_versions
);

-- Who has served, since when and why. The champion of a target is its last row.
create table if not exists lifecycle.promotions (
    promotion_id bigint generated always as identity primary key,
    domain text not null,
    target text not null,
    from_version bigint,
    to_version bigint not null,
    decision_id bigint not null unique references lifecycle.decisions,
    promoted_at timestamptz not null default now(),
    foreign key (domain, target, to_version) references lifecycle.model_versions
);
create index if not exists promotions_by_target on lifecycle.promotions (domain, target, promotion_id desc);

-- The one row that makes a night's predictions visible, written with them in one transaction.
-- `expires_at` is when the next night's answers are due; a night replayed later than that never expires by the clock.
create table if not exists lifecycle.publications (
    publication_id bigint generated always as identity primary key,
    domain text not null,
    as_of timestamptz not null,
    known_at timestamptz not null,
    snapshot_digest text not null,
    content_key text not null,
    row_count bigint not null,
    audit jsonb not null,
    expires_at timestamptz,
    published_at timestamptz not null default now()
);
create index if not exists publications_by_as_of on lifecycle.publications (domain, as_of desc, publication_id desc);

create table if not exists lifecycle.predictions (
    publication_id bigint not null references lifecycle.publications,
    domain text not null,
    entity text not null,
    target text not null,
    as_of timestamptz not null,
    matures_at timestamptz not null,
    model_version bigint not null,
    has_skill boolean not null,
    p_up double precision not null check (p_up between 0 and 1),
    direction text not null check (direction in ('up', 'down', 'neutral')),
    confidence double precision not null check (confidence between 0 and 1),
    expected_return double precision not null,
    return_lower double precision not null,
    return_upper double precision not null,
    price double precision,
    price_target double precision,
    price_lower double precision,
    price_upper double precision,
    primary key (publication_id, entity, target),
    foreign key (domain, target, model_version) references lifecycle.model_versions,
    check (return_lower <= expected_return and expected_return <= return_upper)
);
create index if not exists predictions_by_entity on lifecycle.predictions (domain, entity, target, as_of desc);
