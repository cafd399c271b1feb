/** `hlsim/collectives`: schedules, programs and their readers, without clock, socket or process. */
export type {
  AlgorithmOptions,
  AlgorithmRow,
  ClosedForm,
  Restriction,
} from './algorithm-row.ts';
export { ALGORITHMS } from './algorithms.ts';
export {
  ELEMENT_TYPES,
  type ElementArray,
  type ElementType,
  type ElementValue,
  elementArray,
  type ReduceOperation,
} from './arithmetic.ts';
export { onChannels } from './channels.ts';
export {
  type ChunkTable,
  chunkTable,
  type ElementCounts,
  type ElementRange,
  splitEvenly,
} from './chunks.ts';
export {
  COLLECTIVES,
  type CollectiveName,
  type CollectiveShape,
  chunksIn,
  inPlaceAlias,
  logicalChunk,
  logicalChunks,
} from './collective.ts';
export type { Contribution } from './contribution.ts';
export {
  type Cost,
  type CostOptions,
  cost,
  type RankCost,
  totalWireElements,
  wireElements,
} from './cost.ts';
export type { AlphaBetaGamma, CriticalStep, WaitedFor, Work } from './critical-path.ts';
export type { DrawingOptions } from './drawing.ts';
export { withExplicitOrder } from './explicit-order.ts';
export {
  type BlockedStep,
  type InterpretOptions,
  interpret,
  type StepAddress,
  type Visit,
} from './interpret.ts';
export { lower, lowerAll } from './lower.ts';
export { type MemoryMap, memoryMap } from './memory.ts';
export type { MscclDocument } from './msccl/document.ts';
export { mscclDocument } from './msccl/from-programs.ts';
export { type MscclSchedule, readMscclXml } from './msccl/read.ts';
export { writeMscclXml } from './msccl/write.ts';
export {
  COLLECTIVE_WORDS,
  type CollectiveWord,
  collectiveOfWord,
  wordOfCollective,
} from './names.ts';
export { drawSchedule, PICTURE_MARKS_MAX, pictureMarks } from './picture.ts';
export { printSchedule } from './print.ts';
export { describePlace, describeStep, printProgram } from './print-program.ts';
export { countsOfProblem, problemElements } from './problem-size.ts';
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
export { type RunOptions, runPrograms } from './reference.ts';
export type {
  BufferName,
  Place,
  Rank,
  Round,
  Schedule,
  ScheduleOptions,
  Transfer,
} from './schedule.ts';
export { algorithmsFor, type BuildRequest, buildSchedule } from './table.ts';
export type { Ports } from './timed-run.ts';
export { boxOf, flatTopology, ranksIn, type Topology } from './topology.ts';
export { type Holdings, traceSchedule } from './trace.ts';
export {
  type Choice,
  type ChoiceRequest,
  choose,
  possibleAlgorithms,
  type Range,
  selectAlgorithm,
  type TuningRule,
  type TuningTable,
} from './tuner.ts';
export { readTuningFile, writeTuningFile } from './tuning-file.ts';
export { type TuningMeasurement, tuningFromMeasurements } from './tuning-measurements.ts';
export { BUILT_IN_TUNING } from './tuning-rules.ts';
export { parseTuningTable } from './tuning-table.ts';
export type { Finding, FindingKind } from './verifier/finding.ts';
export { smallestDepth, type Verdict, type VerifyOptions, verify } from './verify.ts';
