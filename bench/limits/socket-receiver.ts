/** The receiving process of `socket-rate.ts`. Ends with its sender. */
import process from 'node:process';
import { z } from 'zod';
import { receiveRegions } from './socket-rate.ts';

const order = z.strictObject({
  target: z.union([
    z.strictObject({ port: z.int(), host: z.string() }),
    z.strictObject({ path: z.string() }),
  ]),
  bytes: z.int().positive(),
});

process.once('message', (message) => {
  const { target, bytes } = order.parse(message);
  const socket = receiveRegions(target, bytes);
  socket.on('error', () => undefined);
  // The channel to the sender would keep this process alive.
  socket.on('close', () => process.exit(0));
});
process.on('disconnect', () => process.exit(0));
