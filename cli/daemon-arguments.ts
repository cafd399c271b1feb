/**
 * The command lines of the two daemons, as the launcher writes them. Every flag is given, so that no
 * environment variable meant for the launcher changes a daemon; the token goes by the environment.
 */
import type { OwnershipPolicy } from '../node/device/ownership.ts';
import type { LinkChoice } from '../node/transport/transport.ts';

/** What daemons log unless asked otherwise: kept by the launcher in case one dies. */
const LOG_LEVEL_DEFAULT = 'warn';

export interface CoordinatorArguments {
  readonly host: string;
  readonly port: number;
  readonly hosts: number;
  readonly logLevel: string | undefined;
  /** Ends with its launcher, or starts when the launcher has recorded it. */
  readonly parent: 'exit-with-parent' | 'await-go';
}

export function coordinatorArguments(options: CoordinatorArguments): string[] {
  return [
    'coordinator',
    ...['--host', options.host],
    ...['--port', String(options.port)],
    ...['--hosts', String(options.hosts)],
    ...['--log-level', options.logLevel ?? LOG_LEVEL_DEFAULT],
    `--${options.parent}`,
  ];
}

/** Another patience of hard resets than the default. */
export interface ResetPatience {
  readonly graceMs: number;
  readonly waitMs: number;
  readonly trials: number;
}

export interface NodeArguments {
  readonly coordinator: string;
  readonly devices: number;
  readonly hbmBytes: number;
  readonly ownership: OwnershipPolicy;
  readonly linkTransport: LinkChoice;
  readonly reset?: ResetPatience | undefined;
  readonly bind: string;
  readonly joinTimeoutMs: number;
  readonly logLevel: string | undefined;
  /** Ends with its launcher, or starts when the launcher has recorded it. */
  readonly parent: 'exit-with-parent' | 'await-go';
}

export function nodeArguments(options: NodeArguments): string[] {
  return [
    'node',
    ...['--coordinator', options.coordinator],
    ...['--devices', String(options.devices)],
    ...['--hbm', String(options.hbmBytes)],
    ...['--ownership', options.ownership],
    ...['--transport', options.linkTransport],
    ...resetArguments(options.reset),
    ...['--bind', options.bind],
    ...['--port', '0'],
    ...['--join-timeout', `${options.joinTimeoutMs}ms`],
    ...['--log-level', options.logLevel ?? LOG_LEVEL_DEFAULT],
    `--${options.parent}`,
  ];
}

function resetArguments(reset: ResetPatience | undefined): string[] {
  if (reset === undefined) return [];
  return [
    ...['--reset-grace', `${reset.graceMs}ms`],
    ...['--reset-wait', `${reset.waitMs}ms`],
    ...['--reset-trials', String(reset.trials)],
  ];
}
