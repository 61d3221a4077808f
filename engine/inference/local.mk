# engine/inference
