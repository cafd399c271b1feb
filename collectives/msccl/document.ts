/**
 * An MSCCL XML file as it is written: elements and attributes, without their meaning. Whatever is read
 * can be written again without loss. Names are those of the format, of which the readers of
 * microsoft/msccl and ROCm/rccl (`msccl_parser.cc`) and the writers of microsoft/msccl-tools
 * (`ir.py`, `ncclize.py`) are the only description.
 */

/** Step types of the format. */
export const STEP_TYPES = ['s', 'r', 'rcs', 'rrs', 'rrc', 'rrcs', 'cpy', 're', 'nop'] as const;
export type MscclStepType = (typeof STEP_TYPES)[number];

/** Input, output, scratch. */
export const BUFFERS = ['i', 'o', 's'] as const;
export type MscclBuffer = (typeof BUFFERS)[number];

/** Attributes that the format does not know, as they are. */
export type ExtraAttributes = Readonly<Record<string, string>>;

/** `<step>`. Absent attributes were not in the file. */
export interface MscclStep {
  readonly type: MscclStepType;
  readonly srcbuf?: MscclBuffer;
  /** In chunks; -1 where there is no place. */
  readonly srcoff?: number;
  readonly dstbuf?: MscclBuffer;
  readonly dstoff?: number;
  /** Consecutive chunks. */
  readonly cnt?: number;
  /** Thread block of the same gpu that is waited for; -1: none. */
  readonly depid?: number;
  /** Step of that thread block that must have ended. */
  readonly deps?: number;
  /** 1 if another step waits for this one. Only readers that run on a GPU need it. */
  readonly hasdep?: number;
  readonly extra?: ExtraAttributes;
}

/** `<tb>`: a thread block, which runs its steps one after the other. */
export interface MscclThreadBlock {
  /** The one rank that it sends to; -1: none. */
  readonly send: number;
  /** The one rank that it receives from; -1: none. */
  readonly recv: number;
  /** Which of the connections between two ranks it uses; may be -1 if it has no peer. */
  readonly chan: number;
  readonly steps: readonly MscclStep[];
  readonly extra?: ExtraAttributes;
}

/** `<copy>`: chunks of the input that are copied to the output before anything else. */
export interface MscclCopy {
  readonly inputOffset: number;
  readonly outputOffset: number;
  readonly cnt?: number;
  readonly extra?: ExtraAttributes;
}

/** `<gpu>`: a rank. */
export interface MscclGpu {
  readonly inputChunks: number;
  readonly outputChunks: number;
  readonly scratchChunks: number;
  readonly copies: readonly MscclCopy[];
  /** By `id`. */
  readonly threadBlocks: readonly MscclThreadBlock[];
  readonly extra?: ExtraAttributes;
}

/** Attributes of `<algo>`. */
export interface MscclAttributes {
  readonly name?: string;
  /** `Simple`, `LL` or `LL128`: how a GPU moves the bytes. */
  readonly proto?: string;
  readonly nchannels?: number;
  readonly nchunksperloop: number;
  readonly coll?: string;
  /** 1 if it may be used in place. */
  readonly inplace?: number;
  readonly outofplace?: number;
  /** Sizes that it is meant for; a maximum of 0 is none. */
  readonly minBytes?: bigint;
  readonly maxBytes?: bigint;
  readonly redop?: string;
  readonly nthreadblocks?: number;
  readonly maxcount?: number;
  /** hlsim's own: root of a rooted collective, for which the format has no word. */
  readonly root?: number;
  readonly extra?: ExtraAttributes;
}

/** `<algo>`: the whole file. */
export interface MscclDocument {
  readonly attributes: MscclAttributes;
  /** By `id`. */
  readonly gpus: readonly MscclGpu[];
}

/** Whether a step of this type takes the chunks at src. */
export const namesSource = (type: MscclStepType): boolean =>
  type !== 'r' && type !== 'rcs' && type !== 'nop';
/** Whether a step of this type stores chunks at dst. */
export const namesDestination = (type: MscclStepType): boolean =>
  type !== 's' && type !== 'rrs' && type !== 'nop';
