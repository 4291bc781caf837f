//! What a program answers, well and badly, and what becomes of it.

use docmill_api::{Digest, ErrorClass, Payload};
use docmill_testkit::records;
use serde_json::{Value, json};

use super::program::{Program, process, python, text, texts};

#[tokio::test]
async fn a_document_is_worked_on_and_the_child_is_kept_for_the_next() {
    if !python() {
        return;
    }
    let program = Program::for_each(
        "for part in word.split('|'):\n    output(message, part.upper().encode(), metadata={'seen': hello['config']['mark']})\nend()",
    );
    let stage = program.stage(json!({ "config": { "mark": "zorblax", "deep": { "list": [1, 2.5, true] } } })).await;
    for _ in 0..3 {
        let outputs = process(&stage, text("a.txt", "one|zwölf")).await.unwrap();
        assert_eq!(texts(&outputs), ["ONE", "ZWÖLF"]);
        let document = &outputs.records()[1].document;
        assert_eq!(document.metadata["seen"], "zorblax");
        assert_eq!(document.content, text("a.txt", "one|zwölf").document.content);
    }
    assert_eq!(program.noted("started").len(), 1, "one child did all of it");
}

#[tokio::test]
async fn an_input_that_gives_nothing_says_why() {
    if !python() {
        return;
    }
    let program = Program::for_each("end('not in this mood')");
    let outputs = process(&program.stage(json!({})).await, text("a.txt", "x")).await.unwrap();
    let (records, skip) = outputs.into_parts();
    assert_eq!((records.len(), skip.as_deref()), (0, Some("not in this mood")));
}

#[tokio::test]
async fn an_error_keeps_its_class_and_the_child_goes_on() {
    if !python() {
        return;
    }
    let program = Program::for_each("if word == 'fine':\n    end()\nelse:\n    failed(word, 'because of ' + word)");
    let stage = program.stage(json!({})).await;
    for (word, class) in
        [("rejected", ErrorClass::Rejected), ("transient", ErrorClass::Transient), ("fatal", ErrorClass::Fatal)]
    {
        let error = process(&stage, text("a.txt", word)).await.unwrap_err();
        assert_eq!((error.class, error.message), (class, format!("because of {word}")));
    }
    process(&stage, text("a.txt", "fine")).await.unwrap();
    assert_eq!(program.noted("started").len(), 1);
}

/// What each of these bodies is refused with; the next document finds a new child.
#[tokio::test]
async fn an_answer_that_is_none_is_refused_and_costs_one_document() {
    if !python() {
        return;
    }
    let cases = [
        ("print('on it', flush=True)", "no frame"),
        ("sys.stdout.buffer.write(b'\\xff' * 4 + b'{'); sys.stdout.flush()", "max_output"),
        ("output(message, data, id='0' * 64); end()", "another document"),
        ("message['payload'] = {'shape': 'blob'}; output(message, data); end()", "gave blob, and `gives` says text"),
        ("message['payload']['pages'] = [{'offset': 99, 'number': 1}]; output(message, data); end()", "page"),
        ("output(message, b'\\xff'); end()", "UTF-8"),
        ("output(message, b'x' * 2000); end()", "`max_output` (1000B)"),
        ("[output(message, b'x' * 100) for _ in range(9)]; end()", "`max_output` (1000B)"),
        ("write({'type': 'ready', 'protocol': 1})", "no answer to an input"),
        ("write({'type': 'zorblax'})", "cannot be read"),
    ];
    for (body, wanted) in cases {
        let program = Program::for_each(&format!("if word == 'good':\n    end()\n    continue\n{body}"));
        let stage = program.stage(json!({ "max_output": 1000 })).await;
        let error = process(&stage, text("a.txt", "bad")).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Rejected, "{body}: {error}");
        assert!(error.message.contains(wanted) && error.message.starts_with("`python3`"), "{body}: {error}");
        process(&stage, text("b.txt", "good")).await.unwrap_or_else(|error| panic!("{body}: {error}"));
        assert_eq!(program.noted("started").len(), 2, "{body}: the child was out of step");
    }
}

#[tokio::test]
async fn what_a_program_may_not_change_stays() {
    if !python() {
        return;
    }
    let program = Program::for_each(
        "output(message, data, uri='file:///elsewhere', user_id='mallory', location='ftp:///', filename='other', \
         content='0' * 64, media_type='text/zorblax')\nend()",
    );
    let input = text("a.txt", "words");
    let outputs = process(&program.stage(json!({})).await, input.clone()).await.unwrap();
    let document = (*outputs.records()[0].document).clone();
    assert_eq!(document.media_type.as_deref(), Some("text/zorblax"));
    let restored = docmill_api::Document { media_type: input.document.media_type.clone(), ..document };
    assert_eq!(restored, *input.document, "the content that was read first is the document's");
}

#[tokio::test]
async fn a_document_that_is_first_read_here_gets_a_digest() {
    if !python() {
        return;
    }
    let program = Program::for_each(
        "for part in (b'one', b'two'):\n    message['payload'] = {'shape': 'blob'}\n    output(message, part)\nend()",
    );
    let stage = program.stage(json!({ "takes": ["reference"], "gives": ["blob"] })).await;
    let outputs = process(&stage, records::reference("file:///a")).await.unwrap();
    let digest = Digest::from(*blake3::hash(b"onetwo").as_bytes());
    assert!(outputs.records().iter().all(|record| record.document.content == Some(digest)));
    assert!(matches!(&outputs.records()[1].payload, Payload::Blob(blob) if blob.bytes == "two"));
}

#[tokio::test]
async fn vectors_are_of_the_model_that_was_named() {
    if !python() {
        return;
    }
    let program = Program::for_each(
        "size, value = (2, 0.5) if word == 'good' else (3, 0.5) if word == 'long' else (2, float('nan'))\n\
         chunks = message['payload']['chunks']\n\
         message['payload'] = {'shape': 'vectors', 'chunks': chunks, 'dimensions': size}\n\
         output(message, data + struct.pack(f'<{size}f', *[value] * size))\nend()",
    );
    let model = json!({ "model": "m", "dimensions": 2 });
    let stage = program.stage(json!({ "takes": ["chunks"], "gives": ["vectors"], "embedding": model })).await;
    let chunks = |word: &str| records::chunks("file:///a", &[word]);
    let outputs = process(&stage, chunks("good")).await.unwrap();
    let Payload::Vectors(vectors) = &outputs.records()[0].payload else { panic!("vectors") };
    assert_eq!(&*vectors.values, [0.5, 0.5]);
    for (word, wanted) in [("long", "3 dimensions, wanted are 2"), ("nan", "no number")] {
        let error = process(&stage, chunks(word)).await.unwrap_err();
        assert!(error.message.contains(wanted), "{error}");
    }
}

#[tokio::test]
async fn lengths_that_overflow_are_refused() {
    if !python() {
        return;
    }
    let program = Program::for_each(
        "item = {'ordinal': 0, 'bytes': 2**63 + 1, 'tokens': 0, 'heading': []}\n\
         message['payload'] = {'shape': 'chunks', 'chunks': {'part': 'chunk', 'title': None, 'items': [item, item]}}\n\
         output(message, data)\nend()",
    );
    let stage = program.stage(json!({ "gives": ["chunks"] })).await;
    let error = process(&stage, text("a.txt", "x")).await.unwrap_err();
    assert!(error.message.contains("longer than their body"), "{error}");
}

#[tokio::test]
async fn a_program_may_answer_while_it_reads_and_before() {
    if !python() {
        return;
    }
    // Each pipe holds 64 KiB: whoever waits for the other side to read first waits for ever.
    let program = Program::whole(
        "hello, _ = read()\nwrite({'type': 'ready', 'protocol': 1})\n\
         while True:\n    length = sys.stdin.buffer.read(4)\n    if not length:\n        break\n\
         \x20   message = json.loads(sys.stdin.buffer.read(struct.unpack('<I', length)[0]))\n\
         \x20   size, = struct.unpack('<Q', sys.stdin.buffer.read(8))\n\
         \x20   for at in range(0, size, 1 << 20):\n        output(message, sys.stdin.buffer.read(1 << 20))\n    end()\n",
    );
    let stage = program.stage(json!({})).await;
    let content = "zorblax ".repeat(1 << 20);
    for _ in 0..2 {
        let outputs = process(&stage, text("a.txt", &content)).await.unwrap();
        assert_eq!(texts(&outputs).concat(), content);
    }
}

#[tokio::test]
async fn only_named_variables_are_passed_on() {
    if !python() {
        return;
    }
    let program = Program::for_each("output(message, json.dumps(dict(os.environ)).encode())\nend()");
    // Cargo sets these for every test.
    let names = ["CARGO_PKG_NAME", "CARGO_PKG_VERSION"];
    assert!(names.iter().all(|name| std::env::var_os(name).is_some()));
    let stage = program.stage(json!({ "env": ["CARGO_PKG_NAME"] })).await;
    let outputs = process(&stage, text("a.txt", "x")).await.unwrap();
    let seen: Value = serde_json::from_str(&texts(&outputs)[0]).unwrap();
    assert_eq!(seen["CARGO_PKG_NAME"], "docmill-exec");
    assert_eq!(seen.get("CARGO_PKG_VERSION"), None);
    assert!(seen.get("PATH").is_some());
}
