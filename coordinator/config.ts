/** What a coordinator process is told at its start. The command line builds it. */
import { z } from 'zod';

/** Most hosts that one coordinator waits for. */
export const HOSTS_MAX = 1_024;

export const coordinatorConfig = z.strictObject({
  /** Address to listen on: `127.0.0.1`, or `0.0.0.0` for every network of the machine. */
  host: z.string().min(1),
  /** 0: any free port. */
  port: z.int().min(0).max(65_535),
  /** Hosts in the cluster, exactly. */
  hosts: z.int().min(1).max(HOSTS_MAX),
  /** What every peer must present; absent: anybody who reaches the port may join. */
  token: z.string().min(1).optional(),
  /** End when standard input ends: the parent process has died. */
  exitWithParent: z.boolean(),
  logLevel: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
});

export type CoordinatorConfig = z.infer<typeof coordinatorConfig>;
