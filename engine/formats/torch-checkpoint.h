/*
 * formats/torch-checkpoint.h - the named tensors of a torch checkpoint (torch.save of a
 * state_dict: *.pt, *.pth, pytorch_model.bin, adapter_model.bin).
 *
 * Both forms: the zip archive (torch 1.6 and later), whose tensors stay where they are in the
 * mapped file, and the older one, five pickles and then the numbers. The pickle inside is read by
 * torch-pickle.h, which runs nothing. Storages may be shared, and tensors may be views of them
 * (offset, transposed, stepped): a view that does not lie row by row is copied. Where the numbers
 * once were (cuda:0) does not matter.
 *
 * safetensors_open() takes such files too, so most readers need not know this header.
 */
#ifndef ENGINE_FORMATS_TORCH_CHECKPOINT_H
#define ENGINE_FORMATS_TORCH_CHECKPOINT_H

#include "engine/formats/safetensors.h"

struct torch_checkpoint;

/* Whether the bytes begin as a torch checkpoint does. */
bool torch_checkpoint_is(const void *bytes, size_t n);

/* BYTES[N] must outlive the checkpoint; PATH is for messages. T2L_EUNSUPPORTED names what a
 * state_dict of plain tensors does not have, T2L_EFORMAT what is damaged. */
enum t2l_status torch_checkpoint_parse(const void *bytes, size_t n, const char *path,
    struct torch_checkpoint **out, struct t2l_error *err);
void torch_checkpoint_free(struct torch_checkpoint *checkpoint);

/* In the order of the state_dict. */
size_t torch_checkpoint_count(const struct torch_checkpoint *checkpoint);
const struct safetensors_entry *torch_checkpoint_at(
    const struct torch_checkpoint *checkpoint, size_t i);

#endif
