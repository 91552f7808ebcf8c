select horizon from serving.promotions group by horizon order by length(horizon), horizon;
