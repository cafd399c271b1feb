/** Carries out one case of an experiment: reads its files, builds its networks, predicts row after row. */
import { BLOCKS } from '../collectives/collective.ts';
import { type MscclSchedule, readMscclXml } from '../collectives/msccl/read.ts';
import { COLLECTIVE_WORDS, wordOfCollective } from '../collectives/names.ts';
import { expectBuildable } from '../collectives/table.ts';
import { ranksIn } from '../collectives/topology.ts';
import { possibleAlgorithms } from '../collectives/tuner.ts';
import { HlsimError } from '../common/errors.ts';
import { readParameterFile, withParameters } from '../timing/calibration/parameter-file.ts';
import type { ExperimentCase } from '../timing/experiment/experiment.ts';
import { proveFile } from '../timing/experiment/proof.ts';
import { betterParameters } from '../timing/explain/better-parameters.ts';
import { type Explanation, explain } from '../timing/explain/explain.ts';
import type { Network } from '../timing/network.ts';
import type { PredictionRequest } from '../timing/prediction.ts';
import type { Sweeper, SweepRequest, SweepRow } from '../timing/sweep.ts';
import { cardsOfBoxes } from '../timing/topology/cards-of-boxes.ts';
import type { TopologyFile } from '../timing/topology/file.ts';
import { networkOf } from '../timing/topology/network.ts';
import { usageError } from './flags.ts';
import type { InputFiles } from './predict-inputs.ts';
import { PLACEMENT_WORDS } from './schedule-verdict.ts';
import { readTopologyOf } from './topology-input.ts';
import { counted } from './wording.ts';

/** The rows of one network. */
export interface CaseSection {
  readonly network: Network;
  readonly rows: readonly SweepRow[];
}

export interface CaseResult {
  readonly settings: ExperimentCase;
  readonly sections: readonly CaseSection[];
  /** Of the last row, if it was asked for. */
  readonly explanation?: Explanation;
}

/** Who sees the results as they come. */
export interface CaseObserver {
  network(network: Network, settings: ExperimentCase): void;
  rows(rows: readonly SweepRow[], settings: ExperimentCase): void;
  progress(what: string, done: number): void;
}

/** A case with all that its files say. */
export interface PlannedCase {
  readonly settings: ExperimentCase;
  readonly topology: TopologyFile;
  /** Numbers of boxes to predict; undefined: what the topology says. */
  readonly boxes: readonly (number | undefined)[];
  readonly work: SweepRequest['work'];
}

/**
 * Reads and checks everything before the first prediction.
 *
 * @throws HlsimError for the first thing that is wrong: a file, a topology, an algorithm that does not fit
 */
export async function planCase(
  settings: ExperimentCase,
  inputs: InputFiles,
  sweeper: Sweeper,
): Promise<PlannedCase> {
  const { collective, root } = settings;
  if (root !== 0 && !BLOCKS[COLLECTIVE_WORDS[collective]].rooted) {
    throw usageError(
      `Expected a root only with a collective that has one but found ${root} for ${collective}`,
    );
  }
  const topology = await topologyOf(settings, inputs);
  const work = await workOf(settings, inputs);
  const boxes = settings.boxes ?? [undefined];
  const planned = { settings: withCards(settings, work), topology, boxes, work };
  for (const count of boxes) {
    const network = networkFor(planned, count);
    expectFits(planned, network);
    sweeper.check(sweepRequest(planned, network));
  }
  return planned;
}

/** A schedule is for so many cards, unless something else is said, which then has to fit. */
function withCards(settings: ExperimentCase, work: SweepRequest['work']): ExperimentCase {
  const isOpen = settings.boxes === undefined && settings.cards === undefined;
  return work.kind === 'programs' && isOpen
    ? { ...settings, cards: work.programs.length }
    : settings;
}

/** Predicts all rows. */
export function runCase(
  planned: PlannedCase,
  sweeper: Sweeper,
  observer: CaseObserver,
): CaseResult {
  const { settings, boxes } = planned;
  const sections = boxes.map((count): CaseSection => {
    const network = networkFor(planned, count);
    observer.network(network, settings);
    const rows: SweepRow[] = [];
    const progress = (what: string, done: number) => observer.progress(what, done);
    for (const group of sweeper.rows({ ...sweepRequest(planned, network), progress })) {
      observer.rows(group, settings);
      rows.push(...group);
    }
    return { network, rows };
  });
  if (!settings.explain) return { settings, sections };
  return { settings, sections, explanation: explanationOf(planned, sections, sweeper, observer) };
}

/** What the last row was predicted from; of several algorithms the best. Undefined if it is stuck. */
export function lastRequest(
  planned: PlannedCase,
  sections: readonly CaseSection[],
  sweeper: Sweeper,
): { readonly row: SweepRow; readonly request: PredictionRequest } | undefined {
  const section = sections.at(-1);
  const last = section?.rows.at(-1);
  const row = section?.rows.findLast(
    ({ best, bytes, model }) => best && bytes === last?.bytes && model === last.model,
  );
  if (section === undefined || row === undefined) return undefined;
  return { row, request: sweeper.requestOf(sweepRequest(planned, section.network), row) };
}

function explanationOf(
  planned: PlannedCase,
  sections: readonly CaseSection[],
  sweeper: Sweeper,
  observer: CaseObserver,
): Explanation {
  const last = lastRequest(planned, sections, sweeper);
  if (last === undefined) {
    throw new HlsimError(
      'HLSIM_SCHEDULE_REFUTED',
      'Expected a last row that ends, to explain it, but found one that is stuck: see the table, and raise --slots',
    );
  }
  const { request } = last;
  const { topology, boxes } = planned;
  const better = betterParameters(topology, request.network, (overrides) =>
    networkFor(planned, boxes.at(-1), overrides),
  );
  return explain(request, better, (what, done) => observer.progress(what, done));
}

function sweepRequest({ settings, work }: PlannedCase, network: Network): SweepRequest {
  const { collective, root, sizes, models, slots, exact } = settings;
  const { sliceBytes, channels, chunks, jitter } = settings;
  return {
    network,
    collective: COLLECTIVE_WORDS[collective],
    root,
    work,
    sizes: collective === 'barrier' ? sizes.slice(0, 1) : sizes,
    bytesPerElement: BYTES_PER_ELEMENT,
    models,
    slotsPerConnection: slots,
    ranks: exact ? 'exact' : 'alike',
    sliceBytes,
    channels,
    chunks,
    jitter,
  };
}

/** float32, as nccl-tests unless told otherwise. */
const BYTES_PER_ELEMENT = 4;

function networkFor(
  { settings, topology }: PlannedCase,
  boxes: number | undefined,
  overrides: Readonly<Record<string, number>> = {},
): Network {
  const { path, changes } = settings;
  const { cards: perBox } = settings;
  const isOfEach = perBox !== undefined && boxes !== undefined;
  const cards = isOfEach ? cardsOfBoxes(topology, boxes, perBox) : perBox;
  return networkOf(topology, { path, changes, overrides, boxes, cards });
}

/** With the numbers of the parameter file, if there is one. */
async function topologyOf(
  { topology: name, parameters }: ExperimentCase,
  inputs: InputFiles,
): Promise<TopologyFile> {
  const topology = await readTopologyOf(name, inputs);
  if (parameters === undefined) return topology;
  const text = await inputs.text(parameters, 'a parameter file');
  return withParameters(topology, readParameterFile(text, parameters, topology));
}

async function workOf(
  { collective, schedule, algorithms = 'auto', root }: ExperimentCase,
  inputs: InputFiles,
): Promise<SweepRequest['work']> {
  if (schedule === undefined) {
    if (algorithms === 'auto' || algorithms === 'all') return { kind: algorithms };
    return { kind: 'named', algorithms };
  }
  const file = readMscclXml(await inputs.text(schedule, 'an MSCCL XML file'));
  expectSchedule(file, schedule, COLLECTIVE_WORDS[collective], root);
  const { name, programs, equalChunks, placements } = file;
  const [placement = 'outOfPlace'] = placements;
  const where = `${schedule}, ${PLACEMENT_WORDS[placement]}`;
  proveFile(programs, { inPlace: placement === 'inPlace', equalChunks, name: where });
  return { kind: 'programs', name: name === '' ? schedule : name, programs, equalChunks };
}

function expectSchedule(
  { collective: found, objection, programs }: MscclSchedule,
  path: string,
  collective: MscclSchedule['collective'],
  root: number,
): void {
  if (objection !== undefined) {
    throw new HlsimError(
      'HLSIM_SCHEDULE_REFUTED',
      `Expected a sound schedule in ${path} but found: ${objection}; see hlsim verify ${path}`,
    );
  }
  if (found !== collective) {
    throw usageError(
      `Expected a schedule for ${wordOfCollective(collective)} in ${path} but found one for ${wordOfCollective(found)}`,
    );
  }
  const own = programs[0]?.root ?? 0;
  if (BLOCKS[collective].rooted && own !== root) {
    throw usageError(`Expected root ${own}, as ${path} has it, but found ${root}`);
  }
}

/** Throws what would stop the sweep at this network. */
function expectFits({ settings, work }: PlannedCase, network: Network): void {
  const { root, channels, chunks } = settings;
  const collective = COLLECTIVE_WORDS[settings.collective];
  const { nranks, topology } = network;
  if (root >= nranks) {
    throw usageError(`Expected a root below ${nranks}, the number of ranks, but found ${root}`);
  }
  if (work.kind === 'programs') {
    if (work.programs.length === nranks) return;
    throw usageError(
      `Expected as many cards as the schedule has ranks, ${work.programs.length}, but found ${nranks} in ` +
        `${counted(topology.boxes, 'box', 'boxes')} of ${network.name}: choose --boxes and --cards to fit`,
    );
  }
  const request = { collective, topology, root, ...(chunks === undefined ? {} : { chunks }) };
  const parallel = channels === undefined ? {} : { channels };
  const names = work.kind === 'named' ? work.algorithms : [];
  for (const algorithm of names) expectBuildable({ ...request, ...parallel, algorithm });
  if (work.kind === 'all' && possibleAlgorithms(collective, topology, chunks).length === 0) {
    throw usageError(
      `Expected an algorithm for ${settings.collective} on ${ranksIn(topology)} ranks but found none: change --chunks`,
    );
  }
}
