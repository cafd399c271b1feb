/** Which contestants this machine has; for those that it has not, what to install. */
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { assert } from '../../common/assert.ts';
import { HlsimError } from '../../common/errors.ts';
import { operatingSystem } from '../../node/os/operating-system.ts';
import { type ChildrenInit, type ChildrenOutcome, runChildren } from './children.ts';
import {
  type Contestant,
  type ContestantId,
  glooCommands,
  type HlsimChoice,
  hlsimCommands,
  openmpiCommands,
  type RunRequest,
} from './contestants.ts';
import { projectFile, projectVersion } from './project-files.ts';

/** A contestant that is left out. */
export interface Missing {
  readonly id: ContestantId;
  readonly reason: string;
  /** What to do about it. */
  readonly remedy: string;
}

export type Found = Contestant | Missing;

export function isMissing(found: Found): found is Missing {
  return 'reason' in found;
}

export interface Discovery extends Pick<ChildrenInit, 'scheduler' | 'signal'> {
  /** For what is compiled, removed with the run. */
  readonly folder: string;
}

/** Built beside this file. */
const HLSIM_PROGRAM = './hlsim-contestant.js';
/** To compile a small program, or to load torch from a cold disk. */
const DISCOVERY_DEADLINE_MS = 60_000;

/** Looks for each of `ids`; asks no library more than once. */
export async function findContestants(
  ids: readonly ContestantId[],
  discovery: Discovery,
): Promise<readonly Found[]> {
  const wants = (prefix: string): boolean => ids.some((id) => id.startsWith(prefix));
  const hlsim = wants('hlsim') ? await findHlsim(discovery) : [];
  const openmpi = wants('openmpi') ? await findOpenmpi(discovery) : [];
  const gloo = wants('gloo') ? [await findGloo(discovery)] : [];
  const found = [...hlsim, ...openmpi, ...gloo];
  return ids.map((id) => {
    const one = found.find((contestant) => contestant.id === id);
    assert(one !== undefined, `Expected a word on ${id}`);
    return one;
  });
}

async function findHlsim(discovery: Discovery): Promise<readonly Found[]> {
  const script = projectFile('bin/hlsim.js');
  const program = fileURLToPath(new URL(HLSIM_PROGRAM, import.meta.url));
  const version = `hlsim ${projectVersion()}, Node.js ${process.versions.node}`;
  const benchHelp = await ask(process.execPath, [script, 'bench', '--help'], discovery);
  const runHelp = await ask(process.execPath, [script, 'run', '--help'], discovery);
  const start = (choice: HlsimChoice) => ({
    choice,
    commands: (request: RunRequest) => hlsimCommands(script, program, choice, request),
  });
  const failed = benchHelp.failure ?? runHelp.failure;
  if (failed !== undefined) throw new HlsimError('HLSIM_INTERNAL', `The hlsim command ${failed}`);
  if (!benchHelp.stdout.join('').includes('--provider')) {
    const reason = 'this hlsim has no choice of providers';
    return [
      {
        id: 'hlsim-ws',
        version,
        note: `${reason}: measured with the only one that it has`,
        ...start({ flags: [], provider: undefined }),
      },
      { id: 'hlsim-p2p', reason, remedy: 'build a version of hlsim that has it' },
    ];
  }
  const hasTransport = runHelp.stdout.join('').includes('--transport');
  const flags = hasTransport ? ['--transport', 'tcp'] : [];
  const note = 'this hlsim has no choice of transports: measured with the only one that it has';
  return [
    {
      id: 'hlsim-ws',
      version,
      ...(hasTransport ? {} : { note }),
      ...start({ flags, provider: 'ws' }),
    },
    p2pOf({ id: 'hlsim-p2p', version, ...start({ flags: [], provider: 'p2p' }) }),
  ];
}

function p2pOf(contestant: Contestant): Found {
  const system = operatingSystem();
  if (!('unavailable' in system)) return contestant;
  const remedy = 'npm ci installs koffi, an optional dependency; the rest is Linux on x64 or arm64';
  return { id: 'hlsim-p2p', reason: system.unavailable, remedy };
}

const OPENMPI_REMEDY = 'apt-get install gcc openmpi-bin libopenmpi-dev';

/** Both ways of OpenMPI run the same program, compiled here. */
async function findOpenmpi(discovery: Discovery): Promise<readonly Found[]> {
  const ids = ['openmpi-tcp', 'openmpi-shm'] as const;
  const asked = await ask('mpirun', ['--version'], discovery);
  const version = firstLine(asked.stdout.join('')).replace('mpirun (Open MPI)', 'Open MPI');
  const isOpenmpi = asked.failure === undefined && version.startsWith('Open MPI');
  const binary = join(discovery.folder, 'openmpi-contestant');
  const source = projectFile('bench/peers/openmpi-contestant.c');
  const compiled = isOpenmpi ? await ask('mpicc', ['-O3', '-o', binary, source], discovery) : asked;
  if (isOpenmpi && compiled.failure === undefined) {
    return ids.map((id) => ({
      id,
      version,
      commands: (request: RunRequest) => openmpiCommands(id, binary, request),
    }));
  }
  const what = isOpenmpi ? 'mpicc' : 'mpirun of Open MPI';
  const reason =
    `${what} ${compiled.failure ?? `is ${version}`} ${firstLine(compiled.stderr)}`.trim();
  return ids.map((id) => ({ id, reason, remedy: OPENMPI_REMEDY }));
}

/** Debian's torch belongs to Debian's Python, which need not be the first in the path. */
const PYTHONS = ['python3', '/usr/bin/python3'];
const TORCH_QUESTION =
  'import torch, torch.distributed as d; assert d.is_gloo_available() if hasattr(d, "is_gloo_available") else d.is_available(); print(torch.__version__)';

async function findGloo(discovery: Discovery): Promise<Found> {
  const program = projectFile('bench/peers/gloo_contestant.py');
  for (const python of PYTHONS) {
    const asked = await ask(python, ['-c', TORCH_QUESTION], discovery);
    if (asked.failure !== undefined) continue;
    return {
      id: 'gloo',
      version: `torch ${asked.stdout.join('').trim()} (${python})`,
      commands: (request) => glooCommands(python, program, request),
    };
  }
  return {
    id: 'gloo',
    reason: `no torch with Gloo for ${PYTHONS.join(' or ')}`,
    remedy: 'apt-get install python3-torch',
  };
}

function ask(
  program: string,
  args: readonly string[],
  { scheduler, signal }: Discovery,
): Promise<ChildrenOutcome> {
  return runChildren([{ program, args }], {
    scheduler,
    signal,
    deadlineMs: DISCOVERY_DEADLINE_MS,
  });
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0] ?? '';
}
