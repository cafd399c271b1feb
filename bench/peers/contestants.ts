/** Who takes part: what each contestant is called, and how a run of it is started. */
import { join } from 'node:path';
import process from 'node:process';
import { MiB } from '../../common/bytes.ts';
import { ranksOf, roundUp } from '../../common/math.ts';
import { PROVIDER_VARIABLE } from '../../node/hccl/settings.ts';
import type { ChildCommand } from './children.ts';
import type { HlsimId, PeerId } from './floors.ts';
import { measurementArgument, type PeerMeasurement } from './sweep.ts';

export type ContestantId = HlsimId | PeerId;

/** In the order of tables and legends. */
export const CONTESTANT_TITLES: Readonly<Record<ContestantId, string>> = {
  'hlsim-ws': 'hlsim ws (TCP)',
  'hlsim-p2p': 'hlsim p2p',
  'openmpi-tcp': 'OpenMPI TCP',
  'openmpi-shm': 'OpenMPI shm',
  gloo: 'Gloo',
};
export const CONTESTANT_IDS = Object.keys(CONTESTANT_TITLES) as ContestantId[];
export const HLSIM_IDS: readonly HlsimId[] = ['hlsim-ws', 'hlsim-p2p'];
export const PEER_IDS: readonly PeerId[] = ['openmpi-tcp', 'openmpi-shm', 'gloo'];

/** One run: everything that a contestant measures with one number of ranks. */
export interface RunRequest {
  readonly ranks: number;
  readonly plan: readonly PeerMeasurement[];
  /** A folder for this run's files, whose path is short. */
  readonly folder: string;
}

export interface Contestant {
  readonly id: ContestantId;
  /** Of the library, for the record. */
  readonly version: string;
  /** What a reader of the figures must know, if anything. */
  readonly note?: string;
  /** Of hlsim alone. */
  readonly choice?: HlsimChoice;
  /** The processes to start, all at once. */
  commands(request: RunRequest): readonly ChildCommand[];
}

const HBM_BYTES_MIN = 256 * MiB;

/** How hlsim is told what to move bytes by. */
export interface HlsimChoice {
  /** Of `hlsim run`. */
  readonly flags: readonly string[];
  /** `undefined`: whatever it has. */
  readonly provider: 'ws' | 'p2p' | undefined;
}

/** hlsim: its own launcher starts a host process per rank, and the program on each. */
export function hlsimCommands(
  script: string,
  program: string,
  choice: HlsimChoice,
  { ranks, plan }: RunRequest,
): readonly ChildCommand[] {
  const largest = Math.max(...plan.map(({ bytes }) => bytes));
  return [
    hlsimRun({ script, program, choice, ranks, largest, args: plan.map(measurementArgument) }),
  ];
}

export interface HlsimRun {
  readonly script: string;
  readonly program: string;
  readonly choice: HlsimChoice;
  readonly ranks: number;
  /** Bytes of the program's largest buffer. */
  readonly largest: number;
  readonly args: readonly string[];
}

/** Any program on hosts with a rank each. */
export function hlsimRun(run: HlsimRun): ChildCommand {
  const { script, program, choice, ranks, largest, args } = run;
  const { flags, provider } = choice;
  const hbmMiB = Math.max(HBM_BYTES_MIN, roundUp(2 * largest, MiB)) / MiB;
  const cluster = ['--hosts', String(ranks), '--hbm', `${hbmMiB}M`, ...flags];
  return {
    program: process.execPath,
    args: [script, 'run', program, ...cluster, '--', ...args],
    ...(provider === undefined ? {} : { environment: { [PROVIDER_VARIABLE]: provider } }),
  };
}

/** OpenMPI's own choice of transport on one machine is shared memory. */
const OPENMPI_FLAGS = {
  'openmpi-tcp': ['--mca', 'pml', 'ob1', '--mca', 'btl', 'tcp,self'],
  'openmpi-shm': [],
} as const;

export function openmpiCommands(
  id: keyof typeof OPENMPI_FLAGS,
  binary: string,
  { ranks, plan, folder }: RunRequest,
): readonly ChildCommand[] {
  // mpirun refuses root unless told, and more ranks than cores unless told.
  const root = process.getuid?.() === 0 ? ['--allow-run-as-root'] : [];
  const flags = [...root, '--oversubscribe', ...OPENMPI_FLAGS[id], '-n', String(ranks)];
  return [
    {
      program: 'mpirun',
      args: [...flags, binary, ...plan.map(measurementArgument)],
      // Its session's files, in case it is not there to remove them.
      environment: { TMPDIR: folder },
    },
  ];
}

/** A process per rank, which meet in a file. */
export function glooCommands(
  python: string,
  program: string,
  { ranks, plan, folder }: RunRequest,
): readonly ChildCommand[] {
  const rendezvous = join(folder, 'rendezvous');
  return ranksOf(ranks).map((rank) => ({
    program: python,
    args: [program, rendezvous, String(rank), String(ranks), ...plan.map(measurementArgument)],
    // A thread per rank to compute with, as the others have; loopback, whatever the host is called.
    environment: { OMP_NUM_THREADS: '1', GLOO_SOCKET_IFNAME: 'lo' },
  }));
}
