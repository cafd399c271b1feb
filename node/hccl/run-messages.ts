/** hcclSend and hcclRecv calls at their turn: registers their buffers and runs them together. */
import { messageOf } from '../../common/errors.ts';
import type { FiMr } from '../fabric/fabric.ts';
import { resultOf } from './failure.ts';
import { Message, type NumberedCall } from './message.ts';
import type { OpenCommunicator } from './open-communicator.ts';

/** Runs the calls of one stream that start together. Rejects with what went wrong. */
export async function runMessages(
  open: OpenCommunicator,
  calls: readonly NumberedCall[],
): Promise<void> {
  const { session, communicator } = open;
  communicator.throwIfFailed();
  const used: FiMr[] = [];
  try {
    const messages: Message[] = [];
    for (const call of calls) {
      const { address, bytes } = call;
      const mr = bytes === 0 ? undefined : await session.use(address, bytes);
      if (mr !== undefined) used.push(mr);
      messages.push(new Message(call, { address, bytes, ...(mr && { mr }) }));
    }
    await communicator.runMessages(messages);
  } catch (reason) {
    // The peers wait for these messages: they must hear that none will come.
    const { rank } = communicator.init;
    const message = `Rank ${rank} failed in hcclSend or hcclRecv: ${messageOf(reason)}`;
    communicator.giveUp({ result: resultOf(reason), message });
    throw reason;
  } finally {
    for (const mr of used) session.unuse(mr);
  }
}
