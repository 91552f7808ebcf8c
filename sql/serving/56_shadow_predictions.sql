-- What challengers and the champion before this one say of each night, without being served.
create or replace view serving.shadow_predictions as
select
    domain,
    entity as symbol,
    target as horizon,
    as_of,
    model_version,
    role,
    p_up,
    expected_return,
    made_at
from lifecycle.shadow_predictions;
