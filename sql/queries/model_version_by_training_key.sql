select * from lifecycle.model_versions where training_key = %(training_key)s;
