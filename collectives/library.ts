/** `hlsim/collectives`: schedules, programs and their readers, without clock, socket or process. */
export { binomialTreeBroadcast } from './algorithms/binomial-tree.ts';
export { type Core, foldToPowerOfTwo } from './algorithms/fold.ts';
export { recursiveDoublingAllReduce } from './algorithms/recursive-doubling.ts';
export { ringAllGather, ringAllReduce } from './algorithms/ring.ts';
export { type ChunkTable, chunkTable, type ElementRange, splitEvenly } from './chunks.ts';
export {
  COLLECTIVES,
  type CollectiveName,
  type CollectiveShape,
  chunksIn,
  inPlaceOutput,
  logicalChunk,
  logicalChunks,
} from './collective.ts';
export type { Contribution } from './contribution.ts';
export {
  type AlphaBetaGamma,
  type Cost,
  type CostOptions,
  cost,
  reducedElements,
  stepCount,
  stepElements,
  totalWireElements,
  wireElements,
} from './cost.ts';
export {
  type BlockedStep,
  type InterpretOptions,
  interpret,
  type StepAddress,
  type Visit,
} from './interpret.ts';
export { lower, lowerAll } from './lower.ts';
export { type MemoryMap, memoryMap } from './memory.ts';
export { printSchedule } from './print.ts';
export { describePlace, describeStep, printProgram } from './print-program.ts';
export {
  type Channel,
  type Landing,
  type Program,
  placeOf,
  readsOf,
  receives,
  reduces,
  type Step,
  type StepKind,
  type StepRef,
  sends,
} from './program.ts';
export { runPrograms } from './reference.ts';
export type {
  BufferName,
  Place,
  Rank,
  Round,
  Schedule,
  ScheduleOptions,
  Transfer,
} from './schedule.ts';
export {
  ALGORITHMS,
  type AlgorithmRow,
  algorithmsFor,
  type BuildRequest,
  buildSchedule,
  type Restriction,
} from './table.ts';
export { boxOf, flatTopology, ranksIn, type Topology } from './topology.ts';
export { type Holdings, traceSchedule } from './trace.ts';
export { type SelectionRequest, selectAlgorithm } from './tuner.ts';
export type { Finding, FindingKind } from './verifier/finding.ts';
export { type Verdict, type VerifyOptions, verify } from './verify.ts';
