select coalesce(sum(trials), 0) as trials from lifecycle.model_versions where domain = %(domain)s and target = %(target)s;
