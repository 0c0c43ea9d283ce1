//! The messages of the Remote Execution API and of what it builds on, with those fields that are used here.
//!
//! Numbers and meanings are from `remote_execution.proto`, `semver.proto`, `bytestream.proto`, `operations.proto`.
#![allow(missing_docs, reason = "fields are explained where they are defined, in the protocol")]

use super::proto::messages;

/// Kinds of hashes.
pub const SHA256: i32 = 1;
/// The strategy of a server that takes no links to absolute paths.
pub const ABSOLUTE_LINKS_DISALLOWED: i32 = 1;

messages! {
    /// The name of a blob.
    struct Digest { 1 hash: String, 2 size_bytes: i64, }

    struct Directory {
        1 files: Vec<FileNode>,
        2 directories: Vec<DirectoryNode>,
        3 symlinks: Vec<SymlinkNode>,
    }
    struct FileNode { 1 name: String, 2 digest: Option<Digest>, 4 is_executable: bool, }
    struct DirectoryNode { 1 name: String, 2 digest: Option<Digest>, }
    struct SymlinkNode { 1 name: String, 2 target: String, }
    /// A whole tree. Its folders are bytes here, for their names follow from these.
    struct Tree { 1 root: Vec<u8>, 2 children: Vec<Vec<u8>>, }

    struct Action {
        1 command_digest: Option<Digest>,
        2 input_root_digest: Option<Digest>,
        6 timeout: Option<Duration>,
        7 do_not_cache: bool,
        10 platform: Option<Platform>,
    }
    struct Duration { 1 seconds: i64, 2 nanos: i32, }
    struct Command {
        1 arguments: Vec<String>,
        2 environment_variables: Vec<Property>,
        4 output_directories: Vec<String>,
        5 platform: Option<Platform>,
        6 working_directory: String,
        7 output_paths: Vec<String>,
    }
    struct Platform { 1 properties: Vec<Property>, }
    struct Property { 1 name: String, 2 value: String, }

    struct ExecuteRequest {
        1 instance_name: String,
        3 skip_cache_lookup: bool,
        6 action_digest: Option<Digest>,
        7 execution_policy: Option<ExecutionPolicy>,
        10 inline_stdout: bool,
        11 inline_stderr: bool,
    }
    struct ExecutionPolicy { 1 priority: i32, }
    struct WaitExecutionRequest { 1 name: String, }
    struct ExecuteOperationMetadata {
        1 stage: i32,
        2 action_digest: Option<Digest>,
        3 stdout_stream_name: String,
        4 stderr_stream_name: String,
    }
    struct ExecuteResponse {
        1 result: Option<ActionResult>,
        2 cached_result: bool,
        3 status: Option<Status>,
        5 message: String,
    }
    struct ActionResult {
        3 output_directories: Vec<OutputDirectory>,
        4 exit_code: i32,
        5 stdout_raw: Vec<u8>,
        6 stdout_digest: Option<Digest>,
        7 stderr_raw: Vec<u8>,
        8 stderr_digest: Option<Digest>,
    }
    struct OutputDirectory { 1 path: String, 3 tree_digest: Option<Digest>, }

    struct FindMissingBlobsRequest { 1 instance_name: String, 2 blob_digests: Vec<Digest>, }
    struct FindMissingBlobsResponse { 2 missing_blob_digests: Vec<Digest>, }
    struct BatchUpdateBlobsRequest { 1 instance_name: String, 2 requests: Vec<BlobToUpdate>, }
    struct BlobToUpdate { 1 digest: Option<Digest>, 2 data: Vec<u8>, }
    struct BatchUpdateBlobsResponse { 1 responses: Vec<BlobUpdated>, }
    struct BlobUpdated { 1 digest: Option<Digest>, 2 status: Option<Status>, }
    struct BatchReadBlobsRequest { 1 instance_name: String, 2 digests: Vec<Digest>, }
    struct BatchReadBlobsResponse { 1 responses: Vec<BlobRead>, }
    struct BlobRead { 1 digest: Option<Digest>, 2 data: Vec<u8>, 3 status: Option<Status>, }

    struct GetCapabilitiesRequest { 1 instance_name: String, }
    struct ServerCapabilities {
        1 cache_capabilities: Option<CacheCapabilities>,
        2 execution_capabilities: Option<ExecutionCapabilities>,
        5 high_api_version: Option<SemVer>,
    }
    struct CacheCapabilities {
        1 digest_functions: Vec<i32>,
        4 max_batch_total_size_bytes: i64,
        5 symlink_absolute_path_strategy: i32,
    }
    struct ExecutionCapabilities { 1 digest_function: i32, 2 exec_enabled: bool, }
    struct SemVer { 1 major: i32, 2 minor: i32, }
    struct RequestMetadata { 1 tool_details: Option<ToolDetails>, }
    struct ToolDetails { 1 tool_name: String, 2 tool_version: String, }

    struct ReadRequest { 1 resource_name: String, 2 read_offset: i64, 3 read_limit: i64, }
    struct ReadResponse { 10 data: Vec<u8>, }
    struct WriteRequest {
        1 resource_name: String,
        2 write_offset: i64,
        3 finish_write: bool,
        10 data: Vec<u8>,
    }
    struct WriteResponse { 1 committed_size: i64, }

    /// Something that takes long. Of the two outcomes there is one.
    struct Operation {
        1 name: String,
        2 metadata: Option<Any>,
        3 done: bool,
        4 error: Option<Status>,
        5 response: Option<Any>,
    }
    struct CancelOperationRequest { 1 name: String, }
    struct Any { 1 type_url: String, 2 value: Vec<u8>, }
    struct Status { 1 code: i32, 2 message: String, }
    struct Empty {}
}
