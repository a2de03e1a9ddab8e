import { render } from "preact";
import { announcement, connect } from "./chat";
import { Composer } from "./composer";
import { Header } from "./header";
import { SettingsPanel } from "./settings_panel";
import { Transcript } from "./transcript";

function Page() {
    return (
        <>
            <Header />
            <main class="chat">
                <Transcript />
                <Composer />
                <p class="keys" aria-hidden="true">
                    <kbd>Enter</kbd> sends · <kbd>Shift</kbd> <kbd>Enter</kbd> new line · <kbd>Esc</kbd> stops
                </p>
            </main>
            <SettingsPanel />
            <p role="status" class="visually-hidden">
                {announcement}
            </p>
        </>
    );
}

render(<Page />, document.body);
void connect();
