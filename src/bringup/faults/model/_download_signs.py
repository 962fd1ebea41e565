"""How hubs, libraries and engines word a download that failed."""

from __future__ import annotations

from bringup.faults._fault import Certainty, Sign

_OTHER_CAUSE = (
    "invalid ggml type",
    "elements per row",
    "unknown model architecture",
    "no space left",
    "invalid magic",
)

SIGNS = (
    Sign(
        r"(?:GET|HEAD) failed \(\d{3}\)",
        anchor=" failed (",
        example="0.00.073.098 E get_repo_commit: error: GET failed (404): Sorry, we can't find the page",
    ),
    Sign(
        r"response code: (?:401|403|404|416|429|5\d\d)",
        anchor="response code: ",
        example="error: error from HF API (https://huggingface.co/v2/a/b/manifests/latest), response"
        " code: 404, data: {}",
    ),
    Sign(
        r"(?:40[134]|429|50\d) (?:Client|Server) Error.{0,120}(?:hugging|hf\.co|hf-mirror|modelscope)",
        anchor=" error",
        example="requests.exceptions.HTTPError: 401 Client Error: Unauthorized for url:"
        " https://huggingface.co/a/b/resolve/main/config.json",
    ),
    Sign(
        r"(?:huggingface\.co|hf\.co|modelscope\.c\w{1,2})/\S{0,200}: status code (?:40[134]|429|5\d\d)",
        anchor=": status code ",
        example="Error: request error: https://huggingface.co/a/b/resolve/main/tokenizer.json: status code"
        " 401",
    ),
    Sign(
        r"GatedRepoError|(?:[Cc]annot|trying to) access (?:a )?gated repo",
        anchor="gated",
        example="huggingface_hub.errors.GatedRepoError: 401 Client Error.",
    ),
    Sign(
        r"(?:Repository|LocalEntry|RemoteEntry|Entry|Revision)NotFoundError",
        anchor="notfounderror",
        example="huggingface_hub.errors.RepositoryNotFoundError: 401 Client Error.",
    ),
    Sign(
        r"Access to model .{0,120} is restricted",
        anchor="is restricted",
        example="Access to model google/gemma-3-4b-it is restricted. You must have access to it and be"
        " authenticated",
    ),
    Sign(
        r"Invalid username or password\.",
        anchor="invalid username or password",
        example='{"error":"Invalid username or password."}',
    ),
    Sign(
        r"(?:Repository|Entry|Revision) Not Found for url",
        anchor=" not found for url",
        example="Repository Not Found for url: https://huggingface.co/api/models/a/b.",
    ),
    Sign(
        r"error from HF API",
        anchor="error from hf api",
        example="error: error from HF API (https://huggingface.co/v2/a/b/manifests/latest), response"
        " code: 401",
    ),
    Sign(
        r"failed to get manifest",
        anchor="failed to get manifest",
        example="common_get_hf_file: failed to get manifest",
    ),
    Sign(
        r"no GGUF files? found in",
        anchor="found in",
        example="error: no GGUF files found in repository a/b",
    ),
    Sign(
        r"file '.{0,120}' not found in repository",
        anchor="not found in repository",
        example="common_download: file 'x.gguf' not found in repository",
    ),
    Sign(
        r"Could not resolve host",
        anchor="could not resolve host",
        example="curl: (6) Could not resolve host: huggingface.co",
        unless=("localhost:", "unable to access"),
    ),
    Sign(  # git's own words: the engine's source, or a model's repository
        r"unable to access.{0,160}: Could not resolve host",
        anchor="unable to access",
        example="fatal: unable to access 'https://git.example/a/b/': Could not resolve host: git.example",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"Temporary failure in name resolution",
        anchor="failure in name resolution",
        example="Failed to resolve 'huggingface.co' ([Errno -3] Temporary failure in name resolution)",
    ),
    Sign(
        r"lookup (?:registry\.ollama\.ai|huggingface\.co|hf\.co)",
        anchor="lookup ",
        example="dial tcp: lookup registry.ollama.ai on 127.0.0.53:53: server misbehaving",
    ),
    Sign(
        r"pull model manifest",
        anchor="pull model manifest",
        example="Error: pull model manifest: Get"
        ' "https://registry.ollama.ai/v2/library/x/manifests/latest": dial tcp: i/o timeout',
        unless=("manifest: 412", "no space left"),
    ),
    Sign(
        r"max retries exceeded(?:: |\s{0,9}$)",
        anchor="max retries exceeded",
        example="Error: max retries exceeded: Get"
        ' "https://dd20bb891979d25aebc8bec07b2b3bbc.r2.cloudflarestorage.com": EOF',
        unless=("no space left",),
    ),
    Sign(
        r"digest mismatch, file must be downloaded again|digest mismatch.{0,120}got sha256",
        anchor="digest mismatch",
        example="Error: digest mismatch, file must be downloaded again: want sha256:1a, got sha256:e3b0c442",
        unless=("no space left",),
    ),
    Sign(
        r"download failed(?: after \d{1,10} attempts|: .{0,120}\(status: )|model validation failed, "
        r"unable to download",
        anchor="download",
        example="common_download_file_single_online: download failed after 3 attempts",
    ),
    Sign(
        r"HTTPLIB failed: ",
        anchor="httplib failed: ",
        example="error: HTTPLIB failed: SSL server verification failed",
    ),
    Sign(
        r"(?i)certificate[ _]verify[ _]failed|x509: certificate",
        anchor="certificate",
        example="requests.exceptions.SSLError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify"
        " failed: self-signed certificate",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"required file is not available in cache \(offline mode\)|"
        r"cannot find the requested files in the disk cache",
        anchor="cache",
        example="error: required file is not available in cache (offline mode): model.gguf",
    ),
    Sign(
        r"failed to download model from",
        anchor="failed to download model from",
        example="error: failed to download model from https://huggingface.co/a/b/resolve/main/c.gguf",
        certainty=Certainty.LIKELY,
        unless=_OTHER_CAUSE,
    ),
    Sign(
        r"exactly one out metadata, path_model",
        anchor="exactly one out metadata",
        example="E llama_model_load_from_file_impl: exactly one out metadata, path_model, and file"
        " must be defined",
        certainty=Certainty.LIKELY,
        unless=_OTHER_CAUSE,
    ),
    Sign(
        r"curl: \(22\) The requested URL returned error: [45]\d\d",
        anchor="curl: (22)",
        example="curl: (22) The requested URL returned error: 404",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"invalid http status code received",
        anchor="invalid http status code",
        example="common_download_file_single: invalid http status code received: 404",
    ),
    Sign(
        r"HTTPSConnectionPool\(host='(?:huggingface|hf-mirror|cdn-lfs|cas-bridge|registry\.ollama)",
        anchor="httpsconnectionpool(host='",
        example="requests.exceptions.ConnectionError: HTTPSConnectionPool(host='huggingface.co',"
        " port=443): Max retries exceeded",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"tls: failed to verify certificate",
        anchor="tls: failed to verify certificate",
        example="tls: failed to verify certificate: x509: certificate has expired",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"\b429\b.{0,40}Too Many Requests",
        anchor="too many requests",
        example="HTTP Error 429: Too Many Requests",
        certainty=Certainty.LIKELY,
        needs=("huggingface",),
    ),
    Sign(
        r"(?i)\bdownload\w{0,8}\b.{0,80}\b(?:attempt \d{1,3} failed|stalled|timed out)\b|\[Download\]"
        r" Removing incomplete file",
        anchor="ownload",
        example="[Warn] (HttpClient) [Download] Removing incomplete file for fresh retry...",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)\b(?:sha(?:256)?|checksum|hash|digest) mismatch\b.{0,120}(?:\.gguf|\.safetensors|"
        r"\bmodels?\b|\bblob)",
        anchor="mismatch",
        example='Error SHA mismatch for file "/build/models/Meta-Llama-3-70B-Instruct.Q4_K_M.gguf" ('
        " calculated: c1ce != metadata: d559 )",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"Unable to establish SSL connection",
        anchor="unable to establish ssl connection",
        example="Unable to establish SSL connection.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"cannot verify \S{1,80}'s certificate, issued by",
        anchor="'s certificate, issued by",
        example="ERROR: cannot verify huggingface.co's certificate, issued by 'CN=Proxy':",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"unable to resolve host address",
        anchor="unable to resolve host address",
        example="wget: unable to resolve host address 'huggingface.co'",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"\bERROR (?:401|403|404): [A-Z]",
        anchor="error 40",
        example="2024-05-01 10:00:01 ERROR 404: Not Found.",
        certainty=Certainty.LIKELY,
        needs=("huggingface.co",),
    ),
    Sign(
        r"Download '.{1,200}' failed with status code: \d{3}",
        anchor="failed with status code: ",
        example="Download 'https://huggingface.co/a/b/resolve/main/c.gguf' failed with status code: 404",
    ),
    Sign(
        r"invalid HF repo format, expected",
        anchor="invalid hf repo format",
        example="error: invalid HF repo format, expected <user>/<model>[:quant]",
    ),
    Sign(
        r"Failed to get Docker (?:registry token|manifest), HTTP code|No GGUF layer found in Docker manifest",
        anchor="docker ",
        example="Failed to get Docker manifest, HTTP code: 404",
    ),
    Sign(
        r"(?i)couldn't connect to '?\"?https://huggingface\.co",
        anchor="couldn't connect to ",
        example="OSError: We couldn't connect to 'https://huggingface.co' to load this file",
    ),
    Sign(
        r"is not a local folder and is not a valid model identifier",
        anchor="is not a valid model identifier",
        example="OSError: mistral-7b is not a local folder and is not a valid model identifier listed on 'https://huggingface.co/models'",
    ),
    Sign(
        r"\b(?:Get|Head|Put|Post) \"https://(?:registry\.ollama\.(?:ai|com)|[\w.-]{1,80}\.r2\.cloudflarestorage\.com|huggingface\.co|hf\.co)[/\"]",
        anchor=' "https://',
        example='Error: Head "https://registry.ollama.ai/v2/library/llama3/blobs/sha256-1a": dial tcp: i/o'
        " timeout",
        certainty=Certainty.LIKELY,
        unless=("no space left",),
    ),
    Sign(
        r"The response status is not successful\. status=[45]\d\d",
        anchor="response status is not successful",
        example="errorCode=22 The response status is not successful. status=403",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"\bSmudge error: |^Error downloading object: ",
        anchor="error",
        example="Error downloading object: model.gguf (1a2b3c4): Smudge error: Error downloading model.gguf",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"curl: \((?:18|35|56|60|92)\) ",
        anchor="curl: (",
        example="curl: (56) OpenSSL SSL_read: Connection reset by peer, errno 104",
        certainty=Certainty.LIKELY,
        unless=(
            "localhost",
            "127.0.0.1",
        ),
    ),
    Sign(
        r"ValueError: .{0,3}(?:Download incomplete|Content should be at least 1 MB)",
        anchor="valueerror: ",
        example="ValueError: Download incomplete.",
        certainty=Certainty.LIKELY,
    ),
)
