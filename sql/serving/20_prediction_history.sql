-- Every prediction that a champion ever published; serving.canary has those of challengers. `is_final` marks the last
-- word on its night; earlier words of the same night stay.
create or replace view serving.prediction_history as
select * from lifecycle.published_predictions where role = 'champion';
