//! The page at `/`, in a real browser: who has no terminal gets a file in, sees it through, reads what became of it and
//! finds it again, with the keyboard alone; waits while the service is full; is asked for a key where one is wanted.

mod browser;
#[cfg(feature = "builtin")]
mod service;
mod stand_in;

use std::fs;

use self::browser::{Browser, ENTER, TAB, is_here};
use self::stand_in::{HOSTILE, StandIn};

/// What has no name for who cannot see it: fields without a label, buttons and bars without a text.
const NAMELESS: &str = "return [...document.querySelectorAll('input, select, button, meter, progress, table, section')]
    .filter((element) => !(element.labels?.length || element.ariaLabel || element.textContent.trim()
        || element.getAttribute('aria-labelledby'))).map((element) => element.outerHTML).join(' ')";

#[test]
fn a_full_service_is_waited_for_and_hostile_text_stays_text() {
    if !is_here() {
        return;
    }
    event_loop().block_on(async {
        let service = StandIn::start(5, None).await;
        let directory = tempfile::tempdir().expect("a directory");
        let files: Vec<String> = (0..4)
            .map(|number| {
                let path = directory.path().join(format!("{HOSTILE}{number}.txt"));
                fs::write(&path, "The mill's wheel turns.").expect("written");
                path.display().to_string()
            })
            .collect();
        let browser = Browser::open(&service.url).await;
        browser.wait_for("document.querySelector('#link').textContent.startsWith('no live updates')").await;
        // Noted as it happens: it may be over before a look from here.
        browser
            .script(
                "window.states = new Set();
                new MutationObserver(() => document.querySelectorAll('#uploads-list .upload-state')
                    .forEach((state) => window.states.add(state.innerText)))
                    .observe(document.querySelector('#uploads-list'), { subtree: true, childList: true });",
            )
            .await;
        browser.type_into("#files", &files.join("\n")).await;
        let ended = "document.querySelectorAll('#uploads-list .state:is(.done, .bad)').length === 4";
        browser.wait_for(ended).await;
        let states = browser.text("return [...window.states].join('|')").await;
        assert!(states.contains("waiting (1 second)"), "{states}");
        {
            let seen = service.seen.lock().expect("nothing panicked");
            assert_eq!((seen.full_for, seen.documents.len()), (0, 4));
            assert_eq!(seen.refused.values().sum::<u32>(), 5, "each file is sent under one key: {:?}", seen.refused);
            assert!(seen.refused.len() <= 4, "{:?}", seen.refused);
        }
        let list = browser.text("return document.querySelector('#uploads-list').innerText").await;
        assert_eq!(list.matches(&format!("{HOSTILE}3.txt")).count(), 1, "{list}");
        assert_eq!(list.matches("failed").count(), 2, "{list}");

        browser.script("document.querySelector('.skip').focus()").await;
        browser.press(ENTER).await;
        browser.wait_for("document.activeElement.id === 'search-text'").await;
        browser.press(&format!("mill{ENTER}")).await;
        browser.wait_for("document.querySelector('#hits mark')").await;
        assert_eq!(browser.text("return document.querySelector('#hits mark').textContent").await, "mill");
        let hit = browser.text("return document.querySelector('#hits').innerText").await;
        assert!(hit.contains(&format!("Zürich 水車 𝄞 {HOSTILE} and the mill's wheel")), "{hit}");
        assert!(hit.contains("page 7, lines 3–9") && hit.contains("› Accounts › 1843"), "{hit}");
        browser.press_until(TAB, "#hits button").await;
        browser.press(ENTER).await;
        browser.wait_for("document.querySelector('#result-summary').checkVisibility()").await;
        browser.wait_for("document.activeElement.id === 'result-title'").await;

        assert_eq!(browser.script("return document.querySelectorAll('img').length").await, 0);
        assert_eq!(browser.text("return document.title").await, "docmill");
        assert_eq!(browser.text(NAMELESS).await, "");
        for pixels in [320, 768, 1280] {
            browser.width(pixels).await;
            let page = "const page = document.scrollingElement; return page.scrollWidth - page.clientWidth";
            assert_eq!(browser.script(page).await, 0, "the page is to fit in {pixels} pixels");
        }

        // Away with it: the question is asked first, and the harmless answer has the focus.
        browser.press_until(TAB, "#result-delete").await;
        browser.press(ENTER).await;
        browser.wait_for("document.activeElement.value === 'no'").await;
        browser.press(&format!("{TAB}{ENTER}")).await;
        browser.wait_for("document.querySelectorAll('#documents-rows tr').length === 3").await;
    });
}

#[cfg(feature = "builtin")]
#[test]
fn a_file_is_taken_seen_through_read_and_found_with_the_keyboard() {
    use super::pipeline::mill::{Mill, block_on};

    if !is_here() {
        return;
    }
    block_on(async || {
        let mill = Mill::new();
        let service = service::Service::start(&mill, &[]);
        let ledger = mill.path().join("ledger & <b>sons.txt");
        fs::write(&ledger, "In Zürich, the émigré's Mühlstein ground the harbour's grain.\n").expect("written");
        let letter = mill.path().join("letter.md");
        fs::write(&letter, "# A letter\n\nThe lighthouse was painted white.\n").expect("written");

        let browser = Browser::open(&service.url).await;
        browser.wait_for("document.querySelector('#link').textContent === 'live'").await;
        browser.wait_for("document.querySelectorAll('#stages-rows tr').length === 7").await;
        browser.type_into("#files", &format!("{}\n{}", ledger.display(), letter.display())).await;
        browser.wait_for("document.querySelectorAll('#uploads-list .state.done').length === 2").await;
        browser.wait_for("document.querySelectorAll('#documents-rows .state.done').length === 2").await;

        // From the top of the page, with the keyboard alone: to the search by the link that skips there.
        browser.script("document.activeElement.blur()").await;
        browser.press_until(TAB, ".skip").await;
        browser.press(ENTER).await;
        browser.wait_for("document.activeElement.id === 'search-text'").await;
        browser.press("Mühlstein").await;
        browser.press(ENTER).await;
        browser.wait_for("document.querySelector('#hits mark')").await;
        assert_eq!(browser.text("return document.querySelector('#hits mark').textContent").await, "Mühlstein");
        let hit = browser.text("return document.querySelector('#hits li').innerText").await;
        assert!(hit.contains("ledger & <b>sons.txt") && hit.contains("line 1"), "{hit}");

        // On to the hit's document.
        browser.press_until(TAB, "#hits button").await;
        browser.press(ENTER).await;
        browser.wait_for("document.activeElement.id === 'result-title'").await;
        let result = browser.text("return document.querySelector('#result').innerText").await;
        assert!(result.contains("ledger & <b>sons.txt") && result.contains("Chunks\n1\n"), "{result}");

        assert_eq!(browser.complaints().await, Vec::<String>::new());
    });
}

const KEY: &str = "a-key-of-32-characters-or-more-00";

#[test]
fn a_key_is_asked_for_and_stays_in_its_tab() {
    if !is_here() {
        return;
    }
    event_loop().block_on(async {
        let service = StandIn::start(0, Some(KEY)).await;
        get_in_with_the_key(&service.url).await;
    });
}

#[cfg(feature = "builtin")]
#[test]
fn a_key_gets_a_file_into_the_real_service() {
    use super::pipeline::mill::{Mill, block_on};

    if !is_here() {
        return;
    }
    block_on(async || {
        let mill = Mill::new();
        let service = service::Service::start(&mill, &[("DOCMILL_API_KEY", KEY)]);
        get_in_with_the_key(&service.url).await;
    });
}

async fn get_in_with_the_key(url: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    let letter = directory.path().join("letter.md");
    fs::write(&letter, "# A letter\n\nThe lighthouse was painted white.\n").expect("written");

    let browser = Browser::open(url).await;
    browser.wait_for("document.activeElement.id === 'key-text'").await;
    assert_eq!(browser.script("return document.querySelector('#work').checkVisibility()").await, false);
    browser.press(&format!("not-the-key{ENTER}")).await;
    browser.wait_for("document.querySelector('#key-error').textContent.includes('does not take this key')").await;
    browser.press(&format!("{KEY}{ENTER}")).await;
    browser.wait_for("document.activeElement.id === 'search-text'").await;
    browser.type_into("#files", &letter.display().to_string()).await;
    browser.wait_for("document.querySelector('#uploads-list .state.done')").await;

    browser.script("location.reload()").await;
    browser.wait_for("document.querySelector('#documents-rows .state.done')").await;
    let asked = "return [location.href, ...performance.getEntriesByType('resource').map((one) => one.name)].join(' ')";
    assert!(!browser.text(asked).await.contains(KEY), "the key is in an address");
    assert_eq!(browser.script("return localStorage.length + document.cookie.length").await, 0);
    browser.tab(url).await;
    browser.wait_for("document.activeElement.id === 'key-text'").await;
}

fn event_loop() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("an event loop")
}
