-- How versions in shadow, and challengers in their canary, did beside the champion, night by night.
create or replace view serving.shadow_scores as
select
    domain,
    target as horizon,
    model_version,
    role,
    as_of,
    matures_at,
    champion_version,
    n,
    score,
    difference,
    scored_at
from lifecycle.shadow_scores;
