/* activation.h - the activation functions that kernels know, in epilogues and by themselves. */
#ifndef SEMSEARCH_KERNELS_ACTIVATION_H
#define SEMSEARCH_KERNELS_ACTIVATION_H

enum activation { ACT_NONE, ACT_GELU, ACT_GELU_TANH, ACT_RELU, ACT_SILU, ACT_TANH };

#endif
