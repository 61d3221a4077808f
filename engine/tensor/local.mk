# engine/tensor
