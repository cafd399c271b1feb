/** The flags of `hlsim bench`: nccl-tests', and those that say how a collective is to be carried out. */
import {
  DATA_TYPE_WORDS,
  type DataTypeWord,
  REDUCE_OPERATION_WORDS,
  type ReduceOperationWord,
} from '../bench/data-types.ts';
import { SLICE_BYTES_MAX } from '../node/hccl/lanes.ts';
import { clusterFlags, jsonFileFlag } from './common-flags.ts';
import { type FlagValues, optional, toggle, withDefault } from './flags.ts';
import { TUNING_FILE_VARIABLE } from './job-environment.ts';
import { progressFlag } from './progress.ts';
import { providerFlag } from './provider.ts';
import { integer, oneOf, size, text } from './readers.ts';
import { traceFlags } from './trace-flags.ts';

const ALL = 'all';
const CHANNELS_MAX = 32;
const CHUNKS_MAX = 4096;
const LAUNCHES_MAX = 10_000;

/** How a collective is carried out, instead of what the tuning table says. */
export const choiceFlags = {
  algorithm: optional({
    name: 'algorithm',
    value: '<name>',
    description: 'use this algorithm instead of the one picked for each size',
    reader: text('the name of an algorithm'),
  }),
  channels: optional({
    name: 'channels',
    value: '<n>',
    description: 'parallel channels, each with its part of the data',
    reader: integer(1, CHANNELS_MAX),
  }),
  chunks: optional({
    name: 'chunks',
    value: '<n>',
    description: 'chunks of a block: segments of pipelined algorithms',
    reader: integer(1, CHUNKS_MAX),
  }),
  slice: optional({
    name: 'slice',
    value: '<size>',
    description: 'largest piece that is moved at once',
    reader: size(64, { max: SLICE_BYTES_MAX, multipleOf: 64 }),
  }),
} as const;

export const benchFlags = {
  minBytes: withDefault('32M', {
    name: 'minbytes',
    short: 'b',
    value: '<size>',
    description: 'smallest size',
    reader: size(1),
  }),
  maxBytes: withDefault('32M', {
    name: 'maxbytes',
    short: 'e',
    value: '<size>',
    description: 'largest size',
    reader: size(1),
  }),
  stepBytes: optional({
    name: 'stepbytes',
    short: 'i',
    value: '<size>',
    description: 'add this from size to size (1M if -f is not given either)',
    reader: size(1),
  }),
  stepFactor: optional({
    name: 'stepfactor',
    short: 'f',
    value: '<n>',
    description: 'multiply by this from size to size',
    reader: integer(2, 1024),
  }),
  iterations: withDefault('20', {
    name: 'iters',
    short: 'n',
    value: '<n>',
    description: 'timed iterations of each size',
    reader: integer(1, 1_000_000),
  }),
  warmupIterations: withDefault('1', {
    name: 'warmup_iters',
    short: 'w',
    value: '<n>',
    description: 'iterations before those, not timed',
    reader: integer(0, 1_000_000),
  }),
  blocking: withDefault('0', {
    name: 'blocking',
    short: 'z',
    value: '<0|1>',
    description: 'wait for each call before the next is posted',
    reader: oneOf(['0', '1']),
  }),
  dataType: withDefault('float', {
    name: 'datatype',
    short: 'd',
    value: '<type>',
    description: `element type: ${DATA_TYPE_WORDS.join(', ')}, or all`,
    reader: oneOf<DataTypeWord | typeof ALL>([...DATA_TYPE_WORDS, ALL]),
  }),
  reduceOp: withDefault('sum', {
    name: 'op',
    short: 'o',
    value: '<op>',
    description: `reduction: ${REDUCE_OPERATION_WORDS.join(', ')}, or all`,
    reader: oneOf<ReduceOperationWord | typeof ALL>([...REDUCE_OPERATION_WORDS, ALL]),
  }),
  root: withDefault('0', {
    name: 'root',
    short: 'r',
    value: '<rank>',
    description: 'root of broadcast, reduce, gather and scatter',
    reader: integer(0, 8191),
  }),
  check: withDefault('1', {
    name: 'check',
    short: 'c',
    value: '<0|1>',
    description: 'compare every element of every result',
    reader: oneOf(['0', '1']),
  }),
  ...choiceFlags,
  schedule: optional({
    name: 'schedule',
    value: '<file>',
    description: 'run this MSCCL file instead of any algorithm',
    reader: text('the name of an MSCCL file'),
  }),
  tuning: optional({
    name: 'tuning',
    value: '<file>',
    description: 'pick algorithms by this table (hlsim tune writes one)',
    reader: text('the name of a tuning table'),
    environment: TUNING_FILE_VARIABLE,
  }),
  bitwise: optional({
    name: 'bitwise',
    value: '<launches>',
    description: 'launch the sweep so often and compare the bits of all results',
    reader: integer(2, LAUNCHES_MAX),
  }),
  strict: toggle({
    name: 'hccl-strict',
    description: 'accept only what the real HCCL accepts',
  }),
  provider: providerFlag,
  progress: progressFlag,
  json: jsonFileFlag,
  ...traceFlags,
  ...clusterFlags,
} as const;

export type BenchFlagValues = FlagValues<typeof benchFlags>;

/** The types of a sweep: one, or all. */
export function dataTypesOf({ dataType }: BenchFlagValues): readonly DataTypeWord[] {
  return dataType === ALL ? DATA_TYPE_WORDS : [dataType];
}

/** The reductions of a sweep: one, or all. */
export function reduceOpsOf({ reduceOp }: BenchFlagValues): readonly ReduceOperationWord[] {
  return reduceOp === ALL ? REDUCE_OPERATION_WORDS : [reduceOp];
}
