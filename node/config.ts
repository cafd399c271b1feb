/** Configuration of one host process, validated. */
import { z } from 'zod';
import { MiB } from '../common/bytes.ts';
import { OWNERSHIP_POLICIES } from './device/ownership.ts';
import { LINK_CHOICES } from './transport/transport.ts';

export const nodeConfig = z.object({
  /** `ws://host:port` of the coordinator. */
  coordinator: z.url({ protocol: /^ws$/ }),
  devices: z.int().min(1).max(64),
  /** Bytes of HBM of each device. */
  hbmBytes: z.int().min(MiB),
  /** Whose device memory is while others have imported it. */
  ownership: z.enum(OWNERSHIP_POLICIES),
  /** How patient a hard reset is with the users of a device. */
  reset: z.object({
    graceMs: z.int().positive(),
    waitMs: z.int().positive(),
    trials: z.int().positive(),
  }),
  /** Address that the data links listen on. Port 0 takes any free one. */
  bind: z.object({ host: z.string().min(1), port: z.int().min(0).max(65535) }),
  /** What links to other hosts may run over. */
  linkTransport: z.enum(LINK_CHOICES),
  /** Name shown to people. */
  hostname: z.string().min(1),
  token: z.string().min(1).optional(),
  /** How long to look for the coordinator. */
  joinTimeoutMs: z.int().positive(),
  /** End when standard input ends: the launcher is gone. */
  exitWithParent: z.boolean(),
  logLevel: z.enum(['debug', 'info', 'warn', 'error', 'silent']),
  /** Given on to user programs, under the variables of their rank. */
  environment: z.record(z.string(), z.string()),
});

export type NodeConfig = z.infer<typeof nodeConfig>;
