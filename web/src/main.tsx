import { render } from "preact";
import { resume } from "./chat";
import { ChatView } from "./chat_view";
import { CompareToggle, Composer } from "./composer";
import { Header } from "./header";
import { connect } from "./server";
import { SettingsPanel } from "./settings_panel";
import { announcement, saveChat } from "./turns";

function Page() {
    return (
        <>
            <Header />
            <main class="chat">
                <ChatView />
                <Composer />
                <div class="under">
                    <CompareToggle />
                    <p class="keys" aria-hidden="true">
                        <kbd>Enter</kbd> sends · <kbd>Shift</kbd> <kbd>Enter</kbd> adds a line · <kbd>Esc</kbd> stops
                    </p>
                </div>
            </main>
            <SettingsPanel />
            <p role="status" class="visually-hidden">
                {announcement}
            </p>
        </>
    );
}

render(<Page />, document.body);
addEventListener("pagehide", saveChat);
void connect();
resume();
