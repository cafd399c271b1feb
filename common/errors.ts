/**
 * Control-plane and command-line failures. One table of stable codes; `docs/errors.md` has a heading
 * for each and a test proves both directions. (Programmer errors: `assert.ts`. Data-plane outcomes
 * are values: `errno.ts`, `IBV_WC_*`, `FI_*`, `hcclResult_t`.)
 *
 * A message says what was expected, what was found, where, and what to do; it starts with a capital
 * letter and has no full stop.
 */
export const ERROR_CODES = {
  HLSIM_USAGE: 'A flag, argument or value on the command line is wrong',
  HLSIM_CONFIG: 'A configuration file or environment variable is wrong',
  HLSIM_PORT_IN_USE: 'The port that was asked for is taken',
  HLSIM_COORDINATOR_UNREACHABLE: 'No coordinator answered at the address within the deadline',
  HLSIM_COORDINATOR_LOST: 'The control connection to the coordinator ended',
  HLSIM_TOKEN_REFUSED: 'The cluster token is wrong or missing',
  HLSIM_PROTOCOL_VERSION: 'Two parts of the cluster speak different versions of a protocol',
  HLSIM_PROTOCOL_ERROR: 'A peer sent something that the protocol does not allow',
  HLSIM_CLUSTER_INCOMPLETE: 'Not every expected host joined within the deadline',
  HLSIM_CLUSTER_FULL: 'A host tried to join a cluster that is complete already',
  HLSIM_CLUSTER_EXISTS: 'A cluster is already up under this state directory',
  HLSIM_CLUSTER_ABSENT: 'No cluster is up under this state directory',
  HLSIM_HOST_LOST: 'A host of the cluster died or stopped answering',
  HLSIM_JOB_REFUSED: 'The coordinator cannot run this job',
  HLSIM_JOB_FAILED: 'A rank of the job ended with a non-zero exit code',
  HLSIM_JOB_CANCELLED: 'The job was cancelled before it ended',
  HLSIM_PROGRAM_UNREADABLE: 'A program, schedule or data file cannot be read',
  HLSIM_SCHEDULE_REFUTED: 'A schedule does not do what its collective promises',
  HLSIM_TOPOLOGY_UNREADABLE: 'A topology file cannot be read, or says what has no meaning',
  HLSIM_TOPOLOGY_IMPOSSIBLE:
    'A topology cannot be built: no route, no rate, no such card, or too large',
  HLSIM_RENDEZVOUS: 'The ranks of a communicator could not agree',
  HLSIM_TIMEOUT: 'A bounded wait ran out',
  HLSIM_OS: 'The operating system refused a call that hlsim needs',
  HLSIM_INTERNAL: 'hlsim itself failed; please report it',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

export class HlsimError extends Error {
  override readonly name = 'HlsimError';
  readonly code: ErrorCode;
  /** Structured details for machines: rank, epoch, host, flag ... */
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode,
    message: string,
    options: { readonly cause?: unknown; readonly fields?: Readonly<Record<string, unknown>> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.fields = options.fields ?? {};
  }
}

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERROR_CODES, value);
}

/** The message of anything that was thrown. */
export function messageOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}
