/** The rules that the tidy test enforces, as data. docs/ARCHITECTURE.md shows the import table; `docs.test.ts` compares. */

/** Everything below `node/`, in the order of the stack. */
const NODE_FOLDERS = [
  'node/os',
  'node/transport',
  'node/process',
  'node/dmabuf',
  'node/device',
  'node/verbs',
  'node/fabric',
  'node/hccl',
] as const;

/** Which folder may import which; each may import itself. The longest matching name holds. */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  common: [],
  collectives: ['common'],
  timing: ['collectives', 'common'],
  'node/os': ['common'],
  'node/transport': ['common'],
  'node/process': ['common'],
  'node/dmabuf': ['node/process', 'common'],
  'node/device': ['node/dmabuf', 'node/process', 'node/os', 'common'],
  'node/verbs': ['node/dmabuf', 'node/process', 'node/transport', 'common'],
  'node/fabric': ['node/verbs', 'common'],
  'node/hccl': [
    'node/fabric',
    'node/device',
    'node/process',
    'collectives',
    'coordinator/hlcp',
    'common',
  ],
  node: [...NODE_FOLDERS, 'coordinator/hlcp', 'common'],
  'coordinator/hlcp': ['common'],
  coordinator: ['coordinator/hlcp', 'timing', 'collectives', 'common'],
  training: ['node/hccl', 'node/device', 'collectives', 'common'],
  scenarios: ['node/device', 'common'],
  bench: [
    ...NODE_FOLDERS,
    'node',
    'coordinator/hlcp',
    'coordinator',
    'collectives',
    'timing',
    'training',
    'common',
  ],
  cli: [
    ...NODE_FOLDERS,
    'node',
    'coordinator/hlcp',
    'coordinator',
    'collectives',
    'timing',
    'training',
    'bench',
    'scenarios',
    'common',
  ],
};

/** Packages of the registry, and where each may be imported. The runtime's own modules are below. */
export const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  ws: ['coordinator'],
  koffi: ['node/os', 'bench'],
  msgpackr: ['node', 'coordinator'],
  nanoid: ['node', 'coordinator', 'cli'],
  sax: ['collectives'],
  yaml: ['collectives', 'timing'],
  protobufjs: ['timing'],
  'csv-parse': ['cli'],
  zod: ['node', 'coordinator', 'bench', 'training', 'scenarios', 'cli', 'collectives', 'timing'],
  pino: ['node', 'coordinator'],
  commander: ['cli'],
  picocolors: ['cli'],
  // User programs that come with hlsim use it as anybody's would.
  hlsim: ['bench', 'training', 'scenarios'],
};

/** Packages that compute and do nothing else: no file, no socket, no clock. */
export const PURE_PACKAGES = ['sax', 'yaml', 'zod', 'protobufjs', 'protobufjs/light.js'];

/** Folders without any I/O: no module of the runtime, and no package but the pure ones. */
export const PURE_FOLDERS = ['common', 'collectives', 'timing'];

export interface BannedWord {
  readonly pattern: RegExp;
  readonly word: string;
  readonly instead: string;
  /** Files, or folders with a slash at the end, where the word is at home. */
  readonly home: readonly string[];
}

const TIMERS = ['common/scheduler.ts'];

export const BANNED_WORDS: readonly BannedWord[] = [
  {
    word: 'Date.now, new Date(), performance.now',
    pattern: /\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b|\bprocess\.hrtime\b/,
    instead: 'take a Clock (common/clock.ts)',
    home: ['common/clock.ts'],
  },
  {
    word: 'Math.random',
    pattern: /\bMath\.random\b/,
    instead: 'take a Prng (common/prng.ts)',
    home: [],
  },
  {
    word: 'setTimeout, setInterval, setImmediate, AbortSignal.timeout',
    pattern: /\b(?:setTimeout|setInterval|setImmediate|AbortSignal\.timeout)\b/,
    instead: 'take a Scheduler (common/scheduler.ts)',
    home: TIMERS,
  },
  {
    word: 'process.env',
    pattern: /\bprocess\.env\b/,
    instead: 'environmentVariable() of common/environment.ts',
    home: ['common/environment.ts'],
  },
  {
    word: 'console',
    pattern: /\bconsole\.\w+\(/,
    instead: 'a logger that is handed in, or the terminal of cli/',
    home: ['cli/'],
  },
  {
    word: 'the buffer of a memory',
    pattern: /\b\w*[mM]emory\.buffer\b|\bnew WebAssembly\.Memory\b/,
    instead: 'a mapping of the dma-buf (node/dmabuf), or a call of the device',
    home: ['node/device/', 'node/os/'],
  },
  {
    word: 'any',
    pattern: /\bas any\b|: any\b|<any>/,
    instead: 'unknown and a check',
    home: [],
  },
  {
    word: 'a compiler error that is silenced',
    pattern: /@ts-(?:ignore|expect-error|nocheck)/,
    instead: 'a type that holds',
    home: [],
  },
];

/** Not in any file of the project, code or text. */
export const BANNED_EVERYWHERE: readonly BannedWord[] = [
  {
    word: 'a note to do something later',
    pattern: /\b(?:TODO|FIXME|XXX|HACK)\b/,
    instead: 'do it, or describe in docs/ what is left out',
    home: [],
  },
  {
    word: "a path of one person's machine",
    pattern: /(?:^|[\s'"`(=])\/(?:home|root|Users|work|mnt)\//,
    instead: 'a path inside the project',
    // Paths as data, never opened.
    home: ['test/'],
  },
  {
    word: 'a test that does not run, or runs alone',
    pattern: /\b(?:it|test|describe)\.(?:only|todo)\b/,
    instead: 'a test that runs',
    home: [],
  },
];

export const LINES_SOFT = 250;
export const LINES_HARD = 400;
/** At most this part of the source files may be longer than the soft limit. */
export const SOFT_EXCESS = 0.1;

/** Files that nothing imports because something else starts them. */
export const ENTRY_POINTS = [
  'cli/main.ts',
  'bench/calibration.ts',
  'bench/engine.ts',
  'bench/limits/command.ts',
  'bench/limits/node-limits.ts',
  'bench/overlap.ts',
  'bench/overlap/paced-sockets.ts',
  'bench/overlap/program.ts',
  'bench/peers/command.ts',
  'bench/peers/hlsim-contestant.ts',
  'bench/timing.ts',
  'bench/timing-alike.ts',
  'bench/transport-rate.ts',
  'bench/verbs.ts',
  'node/library.ts',
  'collectives/library.ts',
  'vitest.config.ts',
];

/** Built by a compiler of their own, from the list of files in their folder. */
export const ASSEMBLY = 'node/device/kernels/assembly/';
