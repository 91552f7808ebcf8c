-- Who was compared in a canary last: the challenger and the champion with its recipe.
select s.model_version, s.champion_version, c.recipe_digest
from lifecycle.shadow_scores s
join lifecycle.model_versions c on c.domain = s.domain and c.target = s.target and c.version = s.champion_version
where s.domain = %(domain)s and s.target = %(target)s and s.role = 'canary'
order by s.as_of desc, s.model_version desc
limit 1;
