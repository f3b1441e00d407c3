import { known } from "../core/keys";
import { Dialog } from "./dialog";

/** Every key that does something now. */
export function Help({ onClose }: { onClose: () => void }) {
  const keys = [...new Map(known().map((key) => [key.keys, key])).values()];
  return (
    <Dialog title="Keys" onClose={onClose}>
      <div class="dialog-content">
        <table class="keys">
          <tbody>
            {keys.map((key) => (
              <tr key={key.keys}>
                <td>
                  {key.keys.split(" ").map((each) => (
                    <kbd key={each}>{each}</kbd>
                  ))}
                </td>
                <td>{key.does}</td>
              </tr>
            ))}
            <tr>
              <td>
                <kbd>Enter</kbd>
              </td>
              <td>Open the row</td>
            </tr>
            <tr>
              <td>
                <kbd>Esc</kbd>
              </td>
              <td>Close this</td>
            </tr>
          </tbody>
        </table>
      </div>
    </Dialog>
  );
}
