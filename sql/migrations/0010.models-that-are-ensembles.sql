-- Optuna makes and migrates its own tables here; nothing else of ours looks into them.
create schema if not exists search;

-- Estimators that did not learn for a version: it was made without them.
-- What a model looks at, the strongest first.
alter table lifecycle.model_versions
    add column if not exists left_out jsonb not null default '[]',
    add column if not exists importance jsonb not null default '[]';

-- What helps to weigh a prediction. Null in rows that were published before.
alter table lifecycle.predictions
    add column if not exists return_lower_95 double precision,
    add column if not exists return_upper_95 double precision,
    add column if not exists return_stop double precision,
    add column if not exists price_stop double precision,
    add column if not exists target_probability double precision check (target_probability between 0 and 1),
    add column if not exists risk_score double precision check (risk_score between 0 and 100),
    add column if not exists similar_share_up double precision,
    add column if not exists similar_dates bigint,
    add column if not exists dissimilarity double precision,
    add column if not exists is_outlier boolean,
    add column if not exists members jsonb,
    add column if not exists reasons jsonb;
